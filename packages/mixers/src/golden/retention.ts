import { retention } from '../retention/retention.ts';
import { numberOf } from './attention.ts';
import type { GoldenComposition } from './composition.ts';

/** Files hold γ, and the scan takes its logarithm. */
export const goldenRetention: GoldenComposition = {
  required: ['q', 'k', 'v', 'gamma'],
  forms: { gamma: { value: Math.log, slope: (gamma) => 1 / gamma } },
  compute(backend, { q, k, v, gamma, initial_state }, given) {
    const scale = numberOf(given, 'scale');
    const { y, lastState } = retention(backend, q!, k!, v!, gamma!, { scale, initialState: initial_state });
    return { y, last_state: lastState };
  },
};
