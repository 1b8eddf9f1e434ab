import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import type { RecurrenceOptions } from '../shared/steps.ts';
import { filled } from '../shared/tensors.ts';

/** Queries and keys after their feature map, `[batch, length, heads, features]`, and values. */
export interface Features {
  readonly q: Tensor;
  readonly k: Tensor;
  /** `[batch, length, heads, headDim]` */
  readonly v: Tensor;
}

/** Options of attention that is computed as a normalised scan. */
export interface NormalisedOptions extends RecurrenceOptions<Tensor> {
  /** Added to the normaliser. Default 0. */
  readonly eps?: number | undefined;
  /** Whether a token sees only those before it, and itself. Default true. */
  readonly causal?: boolean | undefined;
}

/**
 * Attention whose scores are products of positive features (arXiv 2006.16236):
 *
 *     S_t = S_(t-1) + [v_t, 1] k_tᵀ        [y', n] = S_t q_t        y_t = y' / (n + eps)
 *
 * The normaliser n is one more channel of v, and S the state of Mamba-2's scan without decay, which every backend
 * computes in chunks as matrix products. Where it is not causal, S is the state after all tokens, and the same scan
 * without inputs reads it. The caller disposes the results.
 * @returns y in the shape of v, and the state `[batch, heads, headDim + 1, features]`, the normaliser's last.
 */
export function normalisedScan(
  backend: Backend,
  { q, k, v }: Features,
  { eps = 0, causal = true, initialState, resets }: NormalisedOptions = {},
): { readonly y: Tensor; readonly lastState: Tensor } {
  return scoped((scope) => {
    const [batch, length, heads, headDim] = v.shape as [number, number, number, number];
    const one = filled(backend, scope, [batch, length, heads, 1], 1);
    const steps = filled(backend, scope, [batch, length, heads], 1);
    const still = filled(backend, scope, [heads], 0);
    const extended = scope.own(backend.concat([v, one], 3));
    let { y, lastState } = backend.ssdScan(extended, steps, still, k, q, { initialState, resets });
    scope.own(y);
    scope.own(lastState);
    if (!causal) {
      const nothing = filled(backend, scope, extended.shape, 0);
      const all = backend.ssdScan(nothing, steps, still, k, q, { initialState: lastState });
      y = scope.own(all.y);
      scope.own(all.lastState);
    }
    const divided = divide(backend, scope, y, headDim, eps);
    return { y: scope.release(divided), lastState: scope.release(lastState) };
  });
}

/** The first channels, divided by the last one and eps. */
function divide(backend: Backend, scope: Scope, y: Tensor, headDim: number, eps: number): Tensor {
  const value = scope.own(backend.slice(y, 3, 0, headDim));
  let normaliser = scope.own(backend.slice(y, 3, headDim, headDim + 1));
  if (eps !== 0) normaliser = scope.own(backend.add(normaliser, filled(backend, scope, normaliser.shape, eps)));
  const inverse = scope.own(backend.multiply(normaliser, undefined, { activation: 'reciprocal' }));
  // A product with ones repeats the one channel.
  const repeated = scope.own(backend.linear(inverse, filled(backend, scope, [headDim, 1], 1)));
  return scope.own(backend.multiply(value, repeated));
}
