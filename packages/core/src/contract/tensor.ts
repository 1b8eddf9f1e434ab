/**
 * Tensors are opaque handles of values on a backend. They are made from host arrays and read into host arrays. The
 * layout is always contiguous, with the last axis fastest; channels are the last axis.
 */

/**
 * How numbers are stored.
 * - `float32`, `float64`: activations, state and parameters; a backend computes in one of them (`Backend.precision`).
 * - `float16`, `bfloat16`: weights stored in halves, and activations where a backend supports them.
 * - `q8`, `q4`: matrices stored as blocks of 32 elements along the last axis, 8- or 4-bit integers with a scale. A
 *   backend makes them on upload.
 * - `int32`: token ids and reset marks.
 */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'q8' | 'q4' | 'int32';

/** The type that a backend computes in. */
export type Precision = 'float32' | 'float64';

/** The extents of a tensor, the outermost axis first. The last axis is contiguous in memory. */
export type Shape = readonly number[];

/** The shape and dtype of a tensor without its values. `supports` and `supportsUpload` take specs. */
export interface TensorSpec {
  /** The extents, the last axis fastest in memory. */
  readonly shape: Shape;
  /** How the values are stored. */
  readonly dtype: DType;
  /**
   * For int32: the smallest and the largest value that the tensor may hold. `upload` and the operations that make ids
   * set it, so that an id out of range is refused without waiting for the device. The -1 of a checked choice (see
   * `argmax`) is outside this range and still taken as an id: `embedding` makes NaN of it.
   */
  readonly range?: IntegerRange | undefined;
}

/** The smallest and the largest value that an int32 tensor may hold, both included. */
export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

/** A handle of values on a backend. `upload` and the operations make handles; whoever receives one disposes it. */
export interface Tensor extends TensorSpec {
  /** Whether its memory was freed: a use of it throws `disposed` then. */
  readonly disposed: boolean;
  /** Frees the memory. A later use of the tensor throws `disposed`; disposing it again does nothing. */
  dispose(): void;
}

/** Values on the host. `float16` and `bfloat16` are given as their bits. */
export type HostTensor =
  | { readonly dtype: 'float32'; readonly shape: Shape; readonly data: Float32Array }
  | { readonly dtype: 'float64'; readonly shape: Shape; readonly data: Float64Array }
  | { readonly dtype: 'float16' | 'bfloat16'; readonly shape: Shape; readonly data: Uint16Array }
  | { readonly dtype: 'int32'; readonly shape: Shape; readonly data: Int32Array };

/**
 * A matrix of floats on the host that need not be in memory as a whole. An upload asks for every row once, in order,
 * and asks for the next rows only after it has copied the previous ones, which may therefore be views of one buffer.
 */
export interface HostRows {
  readonly dtype: Exclude<HostTensor['dtype'], 'int32'>;
  /** `[rows, columns]` */
  readonly shape: Shape;
  /** The rows `[first, first + count)` as `[count, columns]` of this dtype. */
  rows(first: number, count: number): HostTensor | Promise<HostTensor>;
}

/** The result of `read`: Float64Array for `float64`, Int32Array for `int32`, and Float32Array for every other dtype. */
export type HostArray = Float32Array | Float64Array | Int32Array;

/** The number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Whether two shapes have the same rank and the same extents. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}
