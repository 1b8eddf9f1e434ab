// Every layout of the backward scan that some adapter may get is forced here, against the reference. Subgroups are 4
// wide on SwiftShader, so the rounds of shuffles are tested with one and two lanes a channel. Nearly all the time goes
// into compiling, so calls share their options, and with them pipelines, where they can. Kernels are unrolled over the
// steps of a tile, so with one and four lanes there are half as many as a device has. The conformance suite has all of
// them, with four lanes in Node and one in a browser.
import {
  checkCase,
  describeReport,
  type SelectiveScanCaseOptions,
  selectiveScanBackwardCase,
  selectiveScanCase,
  type TensorReport,
} from '@mamba/conformance';
import type { Backend, Shape, Tensor } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import {
  countersOf,
  type EulerBackwardLayout,
  type ScanBackwardVariant,
  type ScanVariant,
  webgpu,
} from '../src/index.ts';

type Layout = EulerBackwardLayout;
const four: Layout = {
  lanes: 4,
  perLane: 1,
  channels: 16,
  steps: 8,
  summed: 4,
  rounds: 0,
  keep: false,
  stateChannels: 8,
};
const two: Layout = {
  lanes: 2,
  perLane: 1,
  channels: 8,
  steps: 8,
  summed: 8,
  rounds: 1,
  keep: true,
  stateChannels: 16,
};
const one: Layout = {
  lanes: 1,
  perLane: 1,
  channels: 8,
  steps: 2,
  summed: 1,
  rounds: 2,
  keep: false,
  stateChannels: 8,
};
const alone: Layout = {
  lanes: 1,
  perLane: 1,
  channels: 4,
  steps: 2,
  summed: 2,
  rounds: 0,
  keep: false,
  stateChannels: 4,
};
/** Two channels a lane. */
const pairs: Layout = {
  lanes: 4,
  perLane: 2,
  channels: 16,
  steps: 8,
  summed: 4,
  rounds: 0,
  keep: false,
  stateChannels: 8,
};

type Call = Omit<SelectiveScanCaseOptions, 'state'> & { readonly id: string };
interface Variant extends ScanBackwardVariant {
  readonly state: number;
  readonly calls: readonly Call[];
  /** Layouts of the forward scan. Where there are some, gradients are also computed from the states that each keeps. */
  readonly keptBy?: readonly ScanVariant[];
}

/**
 * Layouts of the forward scan: tiles as long as the backward's, shorter, in slices, longer and in chunks; the general
 * kernel.
 */
const forward: readonly ScanVariant[] = [
  { euler: { lanes: 4, channels: 8, slices: 1, steps: 8 } },
  { euler: { lanes: 1, channels: 8, slices: 1, steps: 4 } },
  { euler: { lanes: 4, channels: 8, slices: 4, steps: 4 } },
  { euler: { lanes: 2, channels: 8, slices: 1, steps: 16 }, chunks: 3 },
  { euler: false, chunks: 2 },
];

/** Calls of two pipelines: with an initial state, which the states' dispatch reads, and with resets. */
const states: readonly Call[] = [
  { id: 'plain', batch: 2, length: 37, dim: 5, initialState: true },
  { id: 'tiles', batch: 2, length: 100, dim: 44, groups: 2, initialState: true },
  { id: 'step', batch: 1, length: 1, dim: 3, initialState: true },
  { id: 'stiff', batch: 1, length: 64, dim: 4, regime: 'stiff', initialState: true },
];
const resets: readonly Call[] = [{ id: 'resets', batch: 2, length: 70, dim: 20, initialState: true, resets: true }];
const bare = { D: false, z: false, deltaBias: false, deltaSoftplus: false } as const;
const plain: readonly Call[] = [{ id: 'bare', batch: 2, length: 33, dim: 6, ...bare }];
/** Calls that only the general kernel takes. */
const rules: readonly Call[] = (['euler', 'zoh', 'bilinear'] as const).map((discretization) => ({
  ...{ id: `constant-${discretization}`, batch: 2, length: 20, dim: 6, groups: 2, initialState: true, resets: true },
  ...(discretization === 'euler' ? { B: 'constant', C: 'constant' } : { B: 'constant' }),
  discretization,
}));

const variants: readonly Variant[] = [
  { euler: four, state: 16, calls: [...states, ...resets, ...plain], keptBy: forward },
  { euler: four, chunkLength: 32, state: 16, calls: [...states.slice(0, 3), ...resets], keptBy: forward.slice(0, 1) },
  { euler: four, state: 8, calls: states.slice(0, 1) },
  { euler: two, state: 16, calls: [...states, ...resets], keptBy: forward.slice(0, 2) },
  {
    euler: two,
    chunkLength: 16,
    rows: 1,
    state: 12,
    calls: [...states.slice(0, 2), ...resets],
    keptBy: forward.slice(2, 3),
  },
  { euler: one, state: 16, calls: [...states, ...resets] },
  { euler: one, chunkLength: 20, rows: 1, state: 4, calls: [...states.slice(0, 2), ...resets] },
  { euler: pairs, state: 16, calls: [...states, ...resets] },
  { euler: pairs, chunkLength: 16, state: 16, calls: states.slice(0, 2), keptBy: forward.slice(0, 1) },
  { euler: alone, state: 16, calls: states.slice(0, 2) },
  { euler: false, state: 16, calls: [...states, ...rules] },
  { euler: false, rows: 1, state: 5, calls: rules.slice(0, 1) },
  { state: 70, calls: states.slice(0, 2) },
  { state: 1200, calls: [{ id: 'wide', batch: 1, length: 18, dim: 2, initialState: true }] },
];

let device: GPUDevice;
let oracle: Backend;
beforeAll(async () => {
  ({ device } = await acquire({}));
  oracle = await reference().create();
});
afterAll(async () => {
  await oracle.dispose();
  device.destroy();
});

describe.each(variants)('backward scan of %o', ({ state, calls, keptBy = [], ...scanBackwardVariant }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await webgpu({ device, testing: { scanBackwardVariant } }).create();
  });
  afterAll(() => backend.dispose());

  const check = async (on: Backend, options: SelectiveScanCaseOptions): Promise<void> => {
    const outcome = await checkCase(selectiveScanBackwardCase(options), { backend: on, reference: oracle });
    expect(outcome).not.toHaveProperty('skipped');
    const failed = (outcome as readonly TensorReport[]).filter(({ pass }) => !pass);
    expect(failed.map(describeReport)).toEqual([]);
  };

  test.each(calls)('$id', (call) => check(backend, { ...call, state }));

  test.each(keptBy)('from states that a scan of %o keeps', async (scanVariant) => {
    const keeping = await webgpu({ device, testing: { scanVariant, scanBackwardVariant } }).create();
    try {
      for (const call of [...states.slice(0, 2), ...resets]) {
        const { steps } = scanBackwardVariant.euler as Layout;
        expect(await statesOf(keeping, { ...call, state })).toEqual([
          ...[call.batch, Math.ceil(call.length / steps), call.dim, state],
        ]);
        await check(keeping, { ...call, state, keepStates: true });
      }
    } finally {
      await keeping.dispose();
    }
  });

  test('repeats bit for bit, and gives its memory back', async () => {
    const { buffersAlive } = countersOf(backend);
    const prepared = await selectiveScanBackwardCase({ ...calls[0]!, state }).prepare(backend);
    const gradients = async () => {
      const results = prepared.run();
      const values = await Promise.all(Object.values(results).map((tensor) => backend.read(tensor)));
      for (const tensor of Object.values(results)) tensor.dispose();
      return values;
    };
    expect(await gradients()).toEqual(await gradients());
    prepared.dispose();
    expect(countersOf(backend).buffersAlive).toBe(buffersAlive);
  });
});

/** The shape of the states that a scan keeps. */
async function statesOf(backend: Backend, options: SelectiveScanCaseOptions): Promise<Shape | undefined> {
  const prepared = await selectiveScanCase({ ...options, keepStates: true }).prepare(backend);
  const results: Readonly<Record<string, Tensor>> = prepared.run();
  for (const tensor of Object.values(results)) tensor.dispose();
  prepared.dispose();
  return results.states?.shape;
}
