import { ROUNDING } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const layerNorm: GoldenOperation = {
  operation: 'layerNorm',
  inputs: { x: 'x', weight: 'weight', bias: 'bias' },
  required: ['x'],
  outputs: { y: 'y' },
  tolerance: ROUNDING,
  options({ eps }, origin) {
    if (typeof eps !== 'number') throw damaged(origin, `eps ${String(eps)}`, 'a number');
    return { eps };
  },
  arguments: ({ x, weight, bias }, { eps }) => [x, { weight, bias, eps }],
  gradients: {
    operation: 'layerNormBackward',
    tolerance: ROUNDING,
    arguments: ({ x, weight, bias }, { eps }, { y }) => [x, { weight, bias, eps }, y],
  },
};
