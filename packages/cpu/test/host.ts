/** Helpers of the tests: seeded values, uploads, reads. */
import type { Backend, Tensor } from '@mamba/core';

/** Returns uniform numbers in [low, high), from a seed. */
export function uniform(count: number, seed: number, low = -1, high = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  });
}

export function float32(backend: Backend, shape: readonly number[], data: Float32Array | readonly number[]): Tensor {
  return backend.upload({ dtype: 'float32', shape, data: Float32Array.from(data) });
}

export function int32(backend: Backend, shape: readonly number[], data: readonly number[]): Tensor {
  return backend.upload({ dtype: 'int32', shape, data: Int32Array.from(data) });
}

/** Largest difference, as a part of the largest expected value. */
export function relativeError(given: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let scale = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(given[index]! - expected[index]!);
    error = Math.max(error, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    scale = Math.max(scale, Math.abs(expected[index]!));
  }
  return given.length === expected.length ? error / scale : Number.POSITIVE_INFINITY;
}

/** Largest error of single values, each relative to itself. */
export function worstOf(given: ArrayLike<number>, expected: (index: number) => number): number {
  let worst = 0;
  for (let index = 0; index < given.length; index++) {
    const wanted = expected(index);
    const error = Math.abs(given[index]! - wanted) / Math.abs(wanted);
    worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }
  return worst;
}
