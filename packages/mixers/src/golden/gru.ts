import { gru } from '../gru/gru.ts';
import type { GoldenComposition } from './composition.ts';

export const goldenGru: GoldenComposition = {
  required: ['x', 'weight_ih', 'weight_hh'],
  compute(backend, { x, weight_ih, weight_hh, bias_ih, bias_hh, initial_h }) {
    const weights = { weightIh: weight_ih!, weightHh: weight_hh!, biasIh: bias_ih, biasHh: bias_hh };
    const { y, lastState } = gru(backend, x!, weights, { initialState: initial_h && { h: initial_h } });
    return { y, last_h: lastState.h };
  },
};
