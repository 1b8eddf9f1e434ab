/** How tensors lie in memory; the layouts of matrices are described in assembly/kernels/weights.ts. */
import type { DType } from '@mamba/core';
import { GROUP, Layout, PANEL, Q4_BYTES, Q8_BYTES } from '../generated/calls.ts';
import type { Block } from './allocator.ts';

/** A block of the one WebAssembly memory, row-major where it says nothing else. */
export interface Storage extends Block {
  readonly layout?: Layout | undefined;
}

export { Layout };

export function layoutNumber({ layout = 'rows' }: Storage): number {
  return Layout[layout];
}

/** Bytes of a panel of 16 outputs, or of 16 rows. */
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
