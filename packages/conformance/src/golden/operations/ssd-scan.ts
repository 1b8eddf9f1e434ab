import { SSD_SCAN, SSD_SCAN_BACKWARD } from '../../cases/ssd-scan.ts';
import { damaged } from '../golden-file.ts';
import type { GoldenOperation, Options } from './golden-operation.ts';

export const ssdScan: GoldenOperation = {
  operation: 'ssdScan',
  inputs: {
    x: 'x',
    dt: 'dt',
    A: 'A',
    B: 'B',
    C: 'C',
    D: 'D',
    z: 'z',
    dt_bias: 'dtBias',
    initial_state: 'initialState',
    resets: 'resets',
  },
  required: ['x', 'dt', 'A', 'B', 'C'],
  outputs: { y: 'y', last_state: 'lastState' },
  tolerance: SSD_SCAN,
  options(entry, origin) {
    const { softplus } = entry;
    if (typeof softplus !== 'boolean') throw damaged(origin, `softplus ${String(softplus)}`, 'true or false');
    return { dtSoftplus: softplus, dtLimits: limitsOf(entry, origin) };
  },
  arguments: ({ x, dt, A, B, C, ...optional }, options) => [x, dt, A, B, C, { ...optional, ...options }],
  sizes(shapeOf) {
    const [batch, length, heads, headDim] = shapeOf('x');
    return { batch, length, heads, head_dim: headDim, groups: shapeOf('B')[2], state: shapeOf('B')[3] };
  },
  gradients: {
    operation: 'ssdScanBackward',
    tolerance: SSD_SCAN_BACKWARD,
    arguments: ({ x, dt, A, B, C, ...optional }, options, cotangents) => [
      ...[x, dt, A, B, C],
      { ...optional, ...options },
      cotangents,
    ],
  },
};

function limitsOf({ dt_limit: limits }: Options, origin: string): readonly [number, number] | undefined {
  if (limits === null || limits === undefined) return undefined;
  if (Array.isArray(limits) && limits.length === 2 && limits.every((limit) => typeof limit === 'number'))
    return limits as unknown as readonly [number, number];
  throw damaged(`${origin}: dt_limit`, JSON.stringify(limits), 'two numbers, or null');
}
