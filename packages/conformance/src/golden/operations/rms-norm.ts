import { ROUNDING } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const rmsNorm: GoldenOperation = {
  operation: 'rmsNorm',
  inputs: { x: 'x', weight: 'weight' },
  required: ['x'],
  outputs: { y: 'y' },
  tolerance: ROUNDING,
  options({ eps }, origin) {
    if (typeof eps !== 'number') throw damaged(origin, `eps ${String(eps)}`, 'a number');
    return { eps };
  },
  arguments: ({ x, weight }, { eps }) => [x, { weight, eps }],
  gradients: {
    operation: 'rmsNormBackward',
    tolerance: ROUNDING,
    arguments: ({ x, weight }, { eps }, { y }) => [x, { weight, eps }, y],
  },
};
