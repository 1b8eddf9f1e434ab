import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { filled } from '../shared/tensors.ts';

/** Options of `stridedAttention`. */
export interface StridedAttentionOptions {
  /** A token sees itself and those a multiple of this before it. */
  readonly stride: number;
  /** Multiplies q · k. Default headDim^-1/2. */
  readonly scale?: number | undefined;
}

/**
 * Causal attention of the strided pattern (arXiv 1904.10509, section 4.1). Tokens of one remainder by the stride see
 * one another alone, so `[batch, length, heads, headDim]` is `[batch, length / stride, stride * heads, headDim]` to the
 * operation `attention`: each remainder is a set of heads. The caller disposes the result.
 * @returns In the shape of q.
 */
export function stridedAttention(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { stride, scale }: StridedAttentionOptions,
): Tensor {
  return scoped((scope) => {
    const [batch, length, heads, headDim] = q.shape as [number, number, number, number];
    const steps = Math.ceil(length / stride);
    const missing = steps * stride - length;
    const folded = (x: Tensor): Tensor => {
      const whole =
        missing === 0
          ? x
          : scope.own(backend.concat([x, filled(backend, scope, [batch, missing, heads, headDim], 0)], 1));
      return scope.own(backend.reshape(whole, [batch, steps, stride * heads, headDim]));
    };
    const { y, logSumExp } = backend.attention(folded(q), folded(k), folded(v), { scale });
    scope.own(logSumExp);
    const unfolded = scope.own(backend.reshape(scope.own(y), [batch, steps * stride, heads, headDim]));
    return backend.slice(unfolded, 1, 0, length);
  });
}
