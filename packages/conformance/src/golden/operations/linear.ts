import { ROUNDING } from '../../cases/case.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const linear: GoldenOperation = {
  operation: 'linear',
  inputs: { x: 'x', weight: 'weight', bias: 'bias' },
  required: ['x', 'weight'],
  outputs: { y: 'y' },
  tolerance: ROUNDING,
  options: () => ({}),
  arguments: ({ x, weight, bias }) => [x, weight, bias],
  gradients: {
    operation: 'linearBackward',
    tolerance: ROUNDING,
    arguments: ({ x, weight, bias }, _, { y }) => [x, weight, bias, y],
  },
};
