import type { Activation } from '@mamba/core';
import { ROUNDING } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';
import { type GoldenOperation, wordOf } from './golden-operation.ts';

/** The activations, `none` first, which is the default. */
const ACTIVATIONS: readonly Activation[] = [
  ...(['none', 'silu', 'gelu', 'gelu-tanh', 'relu2', 'exp', 'sigmoid', 'tanh', 'elu-plus-one', 'reciprocal'] as const),
];

export const multiply: GoldenOperation = {
  operation: 'multiply',
  inputs: { a: 'a', b: 'b' },
  required: ['a'],
  outputs: { y: 'y' },
  tolerance: ROUNDING,
  options(entry, origin) {
    const { scale = 1 } = entry;
    if (typeof scale !== 'number') throw damaged(origin, `scale ${String(scale)}`, 'a number');
    return {
      activation: wordOf(entry, 'activation', ACTIVATIONS, origin),
      scale,
    };
  },
  arguments: ({ a, b }, options) => [a, b, options],
  gradients: {
    operation: 'multiplyBackward',
    tolerance: ROUNDING,
    arguments: ({ a, b }, options, { y }) => [a, b, options, y],
  },
};
