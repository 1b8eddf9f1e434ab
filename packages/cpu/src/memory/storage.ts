/** Places of tensors in memory; assembly/kernels/weights.ts describes the layouts of matrices. */
import type { DType } from '@mamba/core';
import { GROUP, Layout, PANEL, Q4_BYTES, Q8_BYTES } from '../generated/calls.ts';
import type { Allocation } from './allocator.ts';

/** The memory of a tensor: row-major unless a layout is given. */
export interface Storage extends Allocation {
  readonly layout?: Layout | undefined;
}

export { Layout };

export function layoutNumber({ layout = 'rows' }: Storage): number {
  return Layout[layout];
}

/** Bytes of a panel of 16 outputs, or of 16 rows where the layout is `rows`. */
export function panelBytes(layout: Layout, inputs: number): number {
  const groups = Math.ceil(inputs / GROUP);
  if (layout === 'q8') return groups * Q8_BYTES;
  if (layout === 'q4') return groups * Q4_BYTES;
  return inputs * PANEL * (layout === 'float16' || layout === 'bfloat16' ? 2 : 4);
}

export function matrixBytes(layout: Layout, inputs: number, outputs: number): number {
  return Math.ceil(outputs / PANEL) * panelBytes(layout, inputs);
}

/** The layout of a matrix of this dtype. */
export function matrixLayout(dtype: DType): Layout {
  return dtype === 'float16' || dtype === 'bfloat16' || dtype === 'q8' || dtype === 'q4' ? dtype : 'float32';
}
