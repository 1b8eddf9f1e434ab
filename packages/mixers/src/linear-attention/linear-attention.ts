import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import type { RecurrenceOptions } from '../shared/steps.ts';
import { normalisedScan } from './normalised-scan.ts';

/** Options of `linearAttention`. */
export interface LinearAttentionOptions extends RecurrenceOptions<Tensor> {
  /** Added to the normaliser. Default 0. */
  readonly eps?: number | undefined;
}

/**
 * Causal linear attention (arXiv 2006.16236) with the feature map elu + 1, by Mamba-2's scan without decay. The caller
 * disposes the results.
 * @param q `[batch, length, heads, headDim]`, as k and v; the channels of v may differ.
 * @returns y in the shape of v, and the state `[batch, heads, headDim of v + 1, headDim]`, the normaliser's last.
 */
export function linearAttention(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: LinearAttentionOptions = {},
): { readonly y: Tensor; readonly lastState: Tensor } {
  return scoped((scope) => {
    const features = (x: Tensor): Tensor => scope.own(backend.multiply(x, undefined, { activation: 'elu-plus-one' }));
    return normalisedScan(backend, { q: features(q), k: features(k), v }, options);
  });
}
