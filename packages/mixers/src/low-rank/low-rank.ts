import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { filled } from '../shared/tensors.ts';
import { identityOf } from '../softmax-attention/naive.ts';

/** Options of `lowRankAttention`. */
export interface LowRankOptions {
  /** Multiplies the scores. Default rank^-1/2. */
  readonly scale?: number | undefined;
  /** Default true. */
  readonly causal?: boolean | undefined;
}

/**
 * Attention with scores of low rank, `scale (Uᵀ q) · (Wᵀ k)` for each head, by the operation `attention`. The caller
 * disposes the result.
 * @param q `[batch, length, heads, headDim]`, as k and v.
 * @param U `[heads, headDim, rank]`, as W; the rank is at most the channels of v.
 * @returns In the shape of v.
 */
export function lowRankAttention(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  U: Tensor,
  W: Tensor,
  { scale, causal = true }: LowRankOptions = {},
): Tensor {
  return scoped((scope) => {
    const rank = U.shape[2]!;
    const queries = widened(backend, scope, projected(backend, scope, q, U), v.shape[3]!);
    const keys = widened(backend, scope, projected(backend, scope, k, W), v.shape[3]!);
    const { y, logSumExp } = backend.attention(queries, keys, v, { causal, scale: scale ?? rank ** -0.5 });
    scope.own(logSumExp);
    return y;
  });
}

/** Zeros behind the channels of each head, which change no score, up to the channels that values have. */
export function widened(backend: Backend, scope: Scope, x: Tensor, channels: number): Tensor {
  const missing = channels - x.shape[3]!;
  if (missing === 0) return x;
  return scope.own(backend.concat([x, filled(backend, scope, x.shape.with(3, missing), 0)], 3));
}

/** Uᵀ x of each head. */
function projected(backend: Backend, scope: Scope, x: Tensor, U: Tensor): Tensor {
  const [heads, headDim, rank] = U.shape as [number, number, number];
  const identity = identityOf(backend, scope, rank);
  const parts = Array.from({ length: heads }, (_, head) => {
    const matrix = scope.own(backend.reshape(scope.own(backend.slice(U, 0, head, head + 1)), [headDim, rank]));
    // A product with the identity transposes.
    const transposed = scope.own(backend.linear(identity, matrix));
    return scope.own(backend.linear(scope.own(backend.slice(x, 2, head, head + 1)), transposed));
  });
  return scope.own(backend.concat(parts, 2));
}
