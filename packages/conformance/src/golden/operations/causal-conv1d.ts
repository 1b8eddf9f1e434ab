import { ROUNDING } from '../../cases/case.ts';
import { type GoldenOperation, wordOf } from './golden-operation.ts';

export const causalConv1d: GoldenOperation = {
  operation: 'causalConv1d',
  inputs: { x: 'x', weight: 'weight', bias: 'bias', initial_state: 'initialState', resets: 'resets' },
  required: ['x', 'weight'],
  outputs: { y: 'y', last_state: 'lastState' },
  tolerance: ROUNDING,
  options: (entry, origin) => ({ activation: wordOf(entry, 'activation', ['none', 'silu'], origin) }),
  arguments: ({ x, weight, bias, ...optional }, options) => [x, weight, bias, { ...optional, ...options }],
  gradients: {
    operation: 'causalConv1dBackward',
    tolerance: ROUNDING,
    arguments: ({ x, weight, bias, ...optional }, options, cotangents) => [
      ...[x, weight, bias],
      { ...optional, ...options },
      cotangents,
    ],
  },
};
