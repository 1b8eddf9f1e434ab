import { EXACT, ROUNDING } from '../../cases/case.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const embedding: GoldenOperation = {
  operation: 'embedding',
  inputs: { weight: 'table', ids: 'ids' },
  required: ['weight', 'ids'],
  outputs: { y: 'y' },
  tolerance: EXACT,
  options: () => ({}),
  arguments: ({ table, ids }) => [table, ids],
  gradients: {
    operation: 'embeddingBackward',
    tolerance: ROUNDING,
    result: 'table',
    arguments: ({ table, ids }, _, { y }) => [table, ids, y],
  },
};
