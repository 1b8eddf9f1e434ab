import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import type { RecurrenceOptions } from '../shared/steps.ts';
import { filled } from '../shared/tensors.ts';

/** Options of `retention`. */
export interface RetentionOptions extends RecurrenceOptions<Tensor> {
  /** Multiplies keys. Default headDim^-1/2. */
  readonly scale?: number | undefined;
}

/**
 * Retention (arXiv 2307.08621, section 2.1), without rotation and norm:
 *
 *     S_t = γ S_(t-1) + scale v_t k_tᵀ        y_t = S_t q_t
 *
 * It is Mamba-2's scan with a constant decay, so its parallel, recurrent and chunked forms are those of that scan. The
 * caller disposes the results.
 * @param q `[batch, length, heads, headDim]`, as k and v; the channels of v may differ.
 * @param logDecay `[heads]`: ln γ, below 0.
 * @returns y in the shape of v, and the state `[batch, heads, headDim of v, headDim]`.
 */
export function retention(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logDecay: Tensor,
  options: RetentionOptions = {},
): { readonly y: Tensor; readonly lastState: Tensor } {
  return scoped((scope) => {
    const [batch, length, heads, headDim] = k.shape as [number, number, number, number];
    const { scale = headDim ** -0.5, initialState, resets } = options;
    const scaled = scope.own(backend.multiply(k, undefined, { scale }));
    const steps = filled(backend, scope, [batch, length, heads], 1);
    return backend.ssdScan(v, steps, logDecay, scaled, q, { initialState, resets });
  });
}
