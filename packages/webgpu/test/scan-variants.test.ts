// Every layout of the selective scan that some adapter may get, forced. Subgroups are 4 wide on SwiftShader: sums by
// shuffles over 8 lanes and more are compiled nowhere here, and differ from those of 4 in the number of rounds of one
// loop. Nearly all the time goes into compiling: calls share their options where they can, so that they share
// pipelines.
import {
  checkCase,
  describeReport,
  type SelectiveScanCaseOptions,
  selectiveScanCase,
  type TensorReport,
} from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import { type ScanVariant, webgpu } from '../src/index.ts';

const variants: readonly (ScanVariant & { readonly states: number })[] = [
  { statesPerLane: 1, reduce: 'workgroup', states: 16 },
  { statesPerLane: 1, reduce: 'workgroup', states: 5 },
  { statesPerLane: 1, reduce: 'workgroup', states: 70 },
  { statesPerLane: 1, reduce: 'subgroup', states: 4 },
  { statesPerLane: 4, reduce: 'workgroup', states: 16 },
  { statesPerLane: 4, reduce: 'subgroup', states: 13 },
  { statesPerLane: 8, reduce: 'workgroup', states: 23 },
  { statesPerLane: 12, reduce: 'workgroup', states: 11 },
  { statesPerLane: 16, reduce: 'workgroup', states: 300 },
  { statesPerLane: 16, reduce: 'subgroup', states: 64 },
  { statesPerLane: 1, chunks: 4, reduce: 'workgroup', states: 16 },
  { statesPerLane: 4, chunks: 3, reduce: 'subgroup', states: 16 },
  { statesPerLane: 16, chunks: 7, states: 16 },
  // 16 states a lane, which is one lane a channel here: what the rule chooses where the Euler layouts are not for it.
  { euler: false, states: 16 },
  { euler: { lanes: 1, channels: 32, slices: 1, steps: 8 }, states: 16 },
  { euler: { lanes: 2, channels: 16, slices: 1, steps: 16 }, states: 16 },
  { euler: { lanes: 4, channels: 8, slices: 1, steps: 16 }, states: 12 },
  { euler: { lanes: 4, channels: 8, slices: 4, steps: 8 }, states: 16 },
  { euler: { lanes: 4, channels: 8, slices: 4, steps: 4 }, states: 4 },
  { euler: { lanes: 4, channels: 6, slices: 3, steps: 4 }, states: 16 },
  { euler: { lanes: 2, channels: 8, slices: 4, steps: 4 }, states: 8 },
  { euler: { lanes: 2, channels: 16, slices: 1, steps: 16 }, chunks: 3, states: 16 },
  { euler: { lanes: 4, channels: 8, slices: 1, steps: 16 }, chunks: 7, states: 8 },
];

interface Call extends Omit<SelectiveScanCaseOptions, 'state'> {
  readonly id: string;
}

const RESETS = { initialState: true, resets: true } as const;
/**
 * B and C that are constant: the pipelines of zoh are without those that vary, which euler's and bilinear's are with.
 */
const ZOH = { ...RESETS, discretization: 'zoh', B: 'constant', C: 'constant' } as const;
const BILINEAR = { ...RESETS, discretization: 'bilinear' } as const;
/** What breaks a rate. */
const RATES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

const withRates = (name: string, options: Partial<Call>): readonly Call[] =>
  RATES.map((rate) => ({
    ...{ id: `rate-${rate}-${name}`, batch: 2, length: 45, dim: 5, initialState: true },
    ...options,
    edit: plant('A', 3, rate),
  }));

/** Calls that the Euler layouts take too: by euler, B and C vary, no resets. */
const eulerCalls: readonly Call[] = [
  { id: 'plain', batch: 2, length: 37, dim: 5 },
  { id: 'tiles', batch: 2, length: 150, dim: 22, groups: 2, initialState: true },
  { id: 'stiff', batch: 1, length: 64, dim: 4, regime: 'stiff', initialState: true },
  ...withRates('euler', {}),
  {
    id: 'forget-never',
    batch: 1,
    length: 500,
    dim: 2,
    regime: 'forget_never',
    tolerance: {
      relative: 3e-5,
      reason: 'the exp2 of SwiftShader is a unit in the last place below 1 near 0, at every step',
    },
  },
];
/** In one chunk whatever the layout says. */
const wholeCall: Call = { id: 'one-step', batch: 1, length: 1, dim: 3, initialState: true };
/** What the Euler layouts leave to the others, in any number of chunks. */
const generalCalls: readonly Call[] = [
  { id: 'everything', batch: 2, length: 41, dim: 6, groups: 2, ...RESETS },
  { id: 'constant-zoh', batch: 1, length: 33, dim: 4, ...ZOH },
  ...withRates('zoh', ZOH),
];
/** These are never cut into chunks. */
const bilinearCalls: readonly Call[] = [
  { id: 'bilinear', batch: 1, length: 20, dim: 4, ...BILINEAR },
  ...withRates('bilinear', BILINEAR),
];

/** The calls that reach the layout: the others would run on one that stands in the list by itself. */
function callsOf({ euler, chunks }: ScanVariant): readonly Call[] {
  const whole = chunks === undefined;
  if (typeof euler === 'object') return whole ? [...eulerCalls, wholeCall] : eulerCalls;
  return [...eulerCalls, ...generalCalls, ...(whole ? [wholeCall, ...bilinearCalls] : [])];
}

function plant(name: string, position: number, value: number): SelectiveScanCaseOptions['edit'] {
  return (inputs) => {
    inputs[name]!.data[position] = value;
  };
}

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

describe.each(variants)('scan of %o', ({ states, ...scanVariant }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await webgpu({ device, testing: { scanVariant } }).create();
  });
  afterAll(() => backend.dispose());

  test.each(callsOf(scanVariant))('$id', async (call) => {
    const outcome = await checkCase(selectiveScanCase({ ...call, state: states }), { backend, reference: oracle });
    expect(outcome).not.toHaveProperty('skipped');
    const failed = (outcome as readonly TensorReport[]).filter(({ pass }) => !pass);
    expect(failed.map(describeReport)).toEqual([]);
  });
});

test('a variant that this adapter cannot run is refused with the reason', async () => {
  const backend = await webgpu({ device, testing: { scanVariant: { statesPerLane: 1, reduce: 'subgroup' } } }).create();
  const spec = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
  const [u, A, B] = [spec(1, 8, 4), spec(4, 64), spec(1, 8, 64)];
  expect(backend.supports('selectiveScan', u, u, A, B, B)).toMatchObject({
    supported: false,
    reason: expect.stringContaining('64 lanes a channel cannot add up by shuffles'),
  });
  await backend.dispose();
});
