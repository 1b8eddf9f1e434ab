import { lstm } from '../lstm/lstm.ts';
import type { GoldenComposition } from './composition.ts';

export const goldenLstm: GoldenComposition = {
  required: ['x', 'weight_ih', 'weight_hh'],
  compute(backend, { x, weight_ih, weight_hh, bias_ih, bias_hh, initial_h, initial_c }) {
    const weights = { weightIh: weight_ih!, weightHh: weight_hh!, biasIh: bias_ih, biasHh: bias_hh };
    const initialState = initial_h && initial_c && { h: initial_h, c: initial_c };
    const { y, lastState } = lstm(backend, x!, weights, { initialState });
    return { y, last_h: lastState.h, last_c: lastState.c };
  },
};
