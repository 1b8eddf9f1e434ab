/** How tensors lie in memory; the layouts of matrices are described in assembly/kernels/weights.ts. */
import type { DType } from '@mamba/core';
import type { Block } from './allocator.ts';

/** A block of the one WebAssembly memory, row-major where it says nothing else. */
export interface Storage extends Block {
  readonly layout?: Layout | undefined;
}

export type Layout = 'rows' | 'float32' | 'float16' | 'bfloat16' | 'q8' | 'q4';

/** As `Layout` in assembly/kernels/weights.ts. */
const layouts: Readonly<Record<Layout, number>> = { rows: 0, float32: 1, float16: 2, bfloat16: 3, q8: 4, q4: 5 };

export function layoutNumber({ layout = 'rows' }: Storage): number {
  return layouts[layout];
}

/** Outputs of a panel. */
export const PANEL = 16;
/** Inputs that share a scale. */
export const BLOCK = 32;

/** Bytes of a panel of 16 outputs, or of 16 rows. */
export function panelBytes(layout: Layout, inputs: number): number {
  const blocks = Math.ceil(inputs / BLOCK);
  if (layout === 'q8') return blocks * (32 + 512);
  if (layout === 'q4') return blocks * (32 + 256);
  return inputs * PANEL * (layout === 'float16' || layout === 'bfloat16' ? 2 : 4);
}

export function matrixBytes(layout: Layout, inputs: number, outputs: number): number {
  return Math.ceil(outputs / PANEL) * panelBytes(layout, inputs);
}

/** The layout of a matrix of this dtype. */
export function matrixLayout(dtype: DType): Layout {
  return dtype === 'float16' || dtype === 'bfloat16' || dtype === 'q8' || dtype === 'q4' ? dtype : 'float32';
}
