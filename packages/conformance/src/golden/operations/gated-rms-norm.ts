import { ROUNDING } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const gatedRmsNorm: GoldenOperation = {
  operation: 'gatedRmsNorm',
  inputs: { x: 'x', z: 'z', weight: 'weight' },
  required: ['x'],
  outputs: { y: 'y' },
  tolerance: ROUNDING,
  options({ eps, group_size: groupSize, norm_before_gate: normBeforeGate }, origin) {
    if (typeof eps !== 'number') throw damaged(origin, `eps ${String(eps)}`, 'a number');
    if (typeof normBeforeGate !== 'boolean')
      throw damaged(origin, `norm_before_gate ${String(normBeforeGate)}`, 'true or false');
    if (groupSize !== null && typeof groupSize !== 'number')
      throw damaged(origin, `group_size ${String(groupSize)}`, 'a number, or null for all channels');
    return { eps, groupSize: groupSize ?? undefined, normBeforeGate };
  },
  arguments: ({ x, z, weight }, options) => [x, z, { weight, ...options }],
  gradients: {
    operation: 'gatedRmsNormBackward',
    tolerance: ROUNDING,
    arguments: ({ x, z, weight }, options, { y }) => [x, z, { weight, ...options }, y],
  },
};
