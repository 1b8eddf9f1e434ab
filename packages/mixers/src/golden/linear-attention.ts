import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { linearAttention } from '../linear-attention/linear-attention.ts';
import { performer } from '../performer/performer.ts';
import { flagOf, numberOf } from './attention.ts';
import type { GoldenComposition } from './composition.ts';

export const goldenLinearAttention: GoldenComposition = {
  required: ['q', 'k', 'v'],
  compute: (backend, { q, k, v }, given) =>
    named(backend, linearAttention(backend, q!, k!, v!, { eps: numberOf(given, 'eps') }), true),
};

export const goldenPerformer: GoldenComposition = {
  required: ['q', 'k', 'v', 'projection'],
  compute(backend, { q, k, v, projection }, given) {
    const causal = flagOf(given, 'causal');
    return named(backend, performer(backend, q!, k!, v!, projection!, { causal }), causal);
  },
};

/** The results as files have them: the state of values, and that of the normaliser. */
function named(
  backend: Backend,
  { y, lastState }: { readonly y: Tensor; readonly lastState: Tensor },
  stateful: boolean,
): Readonly<Record<string, Tensor>> {
  return scoped((scope) => {
    scope.own(y);
    scope.own(lastState);
    if (!stateful) return { y: scope.release(y) };
    const [batch, heads, channels, features] = lastState.shape as [number, number, number, number];
    const last_state = scope.own(backend.slice(lastState, 2, 0, channels - 1));
    const row = scope.own(backend.slice(lastState, 2, channels - 1, channels));
    const last_normaliser = backend.reshape(row, [batch, heads, features]);
    return { y: scope.release(y), last_state: scope.release(last_state), last_normaliser };
  });
}
