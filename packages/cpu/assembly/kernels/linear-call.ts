/** What a product and the packing before it are told. */

/**
 * Inputs of a packed block; a multiple of 32. A panel of so many streams from the second-level cache for each tile, which takes less than
 * to come back to y for each part of the inputs. As in src/operations/linear.ts.
 */
export const DEPTH = 1536;

/** As `linearCommand` in src/operations/linear.ts writes them; addresses and strides in bytes. */
@unmanaged
export class LinearCall {
  x: usize;
  xStride: usize;
  weight: usize;
  layout: i32;
  /** 0: none. */
  bias: usize;
  y: usize;
  yStride: usize;
  rows: i32;
  inputs: i32;
  outputs: i32;
  /** Add to what y holds. */
  accumulate: i32;
  /** Normalise rows of x: 1, then by `norm` where it is not 0. */
  normalise: i32;
  norm: usize;
  eps: f32;
  /** Up to here rows are multiplied one by one or in pairs, and `rowScratch` bytes belong to each. */
  vectorRows: i32;
  rowScratch: usize;
  /** Rows of a chunk, and panels. */
  rowBlock: i32;
  panelGroup: i32;
  /** 1: tiles for revectorisation. */
  wide: i32;
  /** Where x is packed, if it is; see linear-pack.ts. */
  packed: usize;
  scratch: usize;
  scratchStride: usize;
}
