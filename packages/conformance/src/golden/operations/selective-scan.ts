import { SCAN, SCAN_BACKWARD } from '../../cases/selective-scan.ts';
import { damaged } from '../golden-file.ts';
import { type GoldenOperation, wordOf } from './golden-operation.ts';

export const selectiveScan: GoldenOperation = {
  operation: 'selectiveScan',
  inputs: {
    u: 'u',
    delta: 'delta',
    A: 'A',
    B: 'B',
    C: 'C',
    D: 'D',
    z: 'z',
    delta_bias: 'deltaBias',
    initial_state: 'initialState',
    resets: 'resets',
  },
  required: ['u', 'delta', 'A', 'B', 'C'],
  outputs: { y: 'y', last_state: 'lastState' },
  tolerance: SCAN,
  options(entry, origin) {
    const { softplus } = entry;
    if (typeof softplus !== 'boolean') throw damaged(origin, `softplus ${String(softplus)}`, 'true or false');
    return {
      deltaSoftplus: softplus,
      discretization: wordOf(entry, 'discretization', ['euler', 'zoh', 'bilinear'], origin),
    };
  },
  arguments: ({ u, delta, A, B, C, ...optional }, options) => [u, delta, A, B, C, { ...optional, ...options }],
  sizes(shapeOf) {
    const [batch, length, dim] = shapeOf('u');
    const selective = [shapeOf('B'), shapeOf('C')].find(({ length: rank }) => rank === 4);
    return { batch, length, dim, state: shapeOf('A')[1], groups: selective?.[2] ?? 1 };
  },
  gradients: {
    operation: 'selectiveScanBackward',
    tolerance: SCAN_BACKWARD,
    arguments: ({ u, delta, A, B, C, ...optional }, options, cotangents) => [
      ...[u, delta, A, B, C],
      { ...optional, ...options },
      cotangents,
    ],
  },
};
