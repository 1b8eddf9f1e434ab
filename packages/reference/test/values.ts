import type { Backend, ScanResult, Tensor } from '@mamba/core';

/** Uploads numbers as float64. */
export function tensor(backend: Backend, shape: readonly number[], values: ArrayLike<number>): Tensor {
  return backend.upload({ dtype: 'float64', shape, data: Float64Array.from(values) });
}

/** Uploads integers. */
export function integers(backend: Backend, shape: readonly number[], values: ArrayLike<number>): Tensor {
  return backend.upload({ dtype: 'int32', shape, data: Int32Array.from(values) });
}

export async function read(backend: Backend, value: Tensor): Promise<number[]> {
  return Array.from(await backend.read(value));
}

/** Reads both results of a scan or a convolution. */
export async function readBoth(
  backend: Backend,
  result: ScanResult<Tensor>,
): Promise<{ y: number[]; lastState: number[] }> {
  return { y: await read(backend, result.y), lastState: await read(backend, result.lastState) };
}

/** The largest absolute difference over the largest absolute expected value. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let error = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    // Math.max keeps NaN, so that an error of NaN is not taken as small.
    error = Math.max(error, Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return scale === 0 ? error : error / scale;
}
