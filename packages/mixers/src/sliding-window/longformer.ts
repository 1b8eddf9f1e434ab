import type { Backend, Tensor } from '@mamba/core';
import { naiveAttention } from '../softmax-attention/naive.ts';

/** Options of `longformer` (arXiv 2004.05150). */
export interface LongformerOptions {
  /** A token sees those that are at most so many positions away. */
  readonly radius: number;
  /** Whether it sees only those before it, and itself. Default false. */
  readonly causal?: boolean | undefined;
  /** Multiplies q · k. Default headDim^-1/2. */
  readonly scale?: number | undefined;
  /** Whether a token of a row is global: it sees all, and all see it. Default: none is. */
  readonly isGlobal?: ((row: number, token: number) => boolean) | undefined;
}

/**
 * Longformer's attention (arXiv 2004.05150) with global tokens anywhere, one projection for both kinds. The mask is
 * any, so the matrix of scores is materialised, as in `naiveAttention`. Where the global tokens are the first ones, the
 * kind `sliding-window` needs memory that is linear in length. The caller disposes the result.
 * @param q `[batch, length, heads, headDim]`, as k and v.
 * @returns In the shape of q.
 */
export function longformer(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { radius, causal = false, scale, isGlobal = () => false }: LongformerOptions,
): Tensor {
  const visible = (row: number, i: number, j: number): boolean =>
    Math.abs(i - j) <= radius || isGlobal(row, i) || isGlobal(row, j);
  return naiveAttention(backend, q, k, v, { causal, scale, visible });
}
