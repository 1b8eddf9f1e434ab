/**
 * Tensors: opaque handles that live on a backend, and the host arrays that they are made from and read into.
 * Layout is always contiguous with the last axis fastest; channels come last.
 */

/**
 * How numbers are stored.
 * - `float32`, `float64`: activations, state and parameters; a backend computes in one of them (`Backend.precision`).
 * - `float16`, `bfloat16`: weights stored in halves, and activations where a backend supports them.
 * - `q8`, `q4`: matrices stored as blocks of 32 along the last axis, 8- or 4-bit integers with a scale; made by a
 *   backend on upload.
 * - `int32`: token ids and reset marks.
 */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'q8' | 'q4' | 'int32';

/** The type that a backend computes in. */
export type Precision = 'float32' | 'float64';

export type Shape = readonly number[];

/** What is known of a tensor without its values. Questions about capability are asked with specs alone. */
export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType;
  /**
   * int32 only: smallest and largest value that it may hold. Set on upload and by the operations that make ids, so that
   * an id out of range is refused before a device reads past a table, without waiting for the device. The -1 of a
   * checked choice (see `argmax`) is not counted: it goes where ids go, and `embedding` makes NaN of it.
   */
  readonly range?: IntegerRange | undefined;
}

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

/** A handle of values that live on a backend. Made by `upload` and by operations; owned by whoever received it. */
export interface Tensor extends TensorSpec {
  readonly disposed: boolean;
  /** Frees the memory. Using the tensor afterwards is an error (`disposed`); disposing again is not. */
  dispose(): void;
}

/** Values on the host. `float16` and `bfloat16` come as their bits; all are little-endian as typed arrays are. */
export type HostTensor =
  | { readonly dtype: 'float32'; readonly shape: Shape; readonly data: Float32Array }
  | { readonly dtype: 'float64'; readonly shape: Shape; readonly data: Float64Array }
  | { readonly dtype: 'float16' | 'bfloat16'; readonly shape: Shape; readonly data: Uint16Array }
  | { readonly dtype: 'int32'; readonly shape: Shape; readonly data: Int32Array };

/**
 * A matrix of floats on the host that need not be in memory as a whole. An upload asks for every row once, from the
 * first to the last, and for the next rows only when it is done with those before: they may be views of one buffer.
 */
export interface HostRows {
  readonly dtype: Exclude<HostTensor['dtype'], 'int32'>;
  /** `[rows, columns]` */
  readonly shape: Shape;
  /** Rows `[first, first + count)`: `[count, columns]`, of this dtype. */
  rows(first: number, count: number): HostTensor | Promise<HostTensor>;
}

/** What `read` gives: `float64` tensors as Float64Array, `int32` as Int32Array, all others widened to Float32Array. */
export type HostArray = Float32Array | Float64Array | Int32Array;

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}
