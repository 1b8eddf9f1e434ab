/** The call of a product and of the packing before it. */
import { Flag } from '../program/call';
import { Layout } from './weights';

/**
 * Inputs that a tile multiplies before its sums go back to y; a multiple of 32. A panel of this depth streams from the
 * second-level cache for each tile, which costs less than storing and loading the sums more often.
 */
export const DEPTH = 1536; // host

/** A product y = x weightᵀ + bias. Addresses and strides are in bytes, and address 0 means that a tensor is absent. */
@unmanaged
export class LinearCall {
  x: usize;
  xStride: usize;
  weight: usize;
  layout: Layout;
  /** Whether the weight is `[inputs, outputs]`, so that its columns are the outputs. */
  weightTransposed: Flag;
  /** Whether x is `[inputs, rows]`; `xStride` is then the distance of inputs. Such x is packed. */
  xTransposed: Flag;
  bias: usize;
  y: usize;
  yStride: usize;
  rows: i32;
  inputs: i32;
  outputs: i32;
  /** Whether the product is added to what y holds. */
  accumulate: Flag;
  /** Whether rows of x are RMS-normalised first, with the weights `norm` if there are any. */
  normalise: Flag;
  norm: usize;
  eps: f32;
  /** Most rows that are multiplied one by one or in pairs; `rowScratch` bytes of scratch belong to each. */
  vectorRows: i32;
  rowScratch: usize;
  /** A task is so many rows by so many panels of 16 outputs. */
  taskRows: i32;
  taskPanels: i32;
  /** Whether tiles have the form that V8's revectorisation takes. */
  wide: Flag;
  /** The address at which many rows of x are packed; see linear-pack.ts. */
  packed: usize;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}
