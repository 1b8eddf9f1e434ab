// Every layout of the selective scan that some adapter may get is forced here. Subgroups are 4 wide on SwiftShader, so
// sums by shuffles over 8 lanes and more are not compiled here; they differ from those of 4 in the number of rounds of
// one loop. Nearly all the time goes into compiling, so calls share their options, and with them pipelines, where they
// can.
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
  // 16 states a lane, which is one lane a channel here, as the rule chooses where the Euler layouts do not take the
  // call.
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
/** zoh is tested with constant B and C, and euler and bilinear with varying ones, so each pipeline is compiled once. */
const ZOH = { ...RESETS, discretization: 'zoh', B: 'constant', C: 'constant' } as const;
const BILINEAR = { ...RESETS, discretization: 'bilinear' } as const;
/** Rates that are not finite. */
const RATES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

const withRates = (name: string, options: Partial<Call>): readonly Call[] =>
  RATES.map((rate) => ({
    ...{ id: `rate-${rate}-${name}`, batch: 2, length: 45, dim: 5, initialState: true },
    ...options,
    edit: plant('A', 3, rate),
  }));

/** Calls that the Euler layouts take as well: euler, B and C vary, no resets. */
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
/** A call that stays in one chunk, whatever the layout says. */
const wholeCall: Call = { id: 'one-step', batch: 1, length: 1, dim: 3, initialState: true };
/** Calls that only the general layouts take, in any number of chunks. */
const generalCalls: readonly Call[] = [
  { id: 'everything', batch: 2, length: 41, dim: 6, groups: 2, ...RESETS },
  { id: 'constant-zoh', batch: 1, length: 33, dim: 4, ...ZOH },
  ...withRates('zoh', ZOH),
];
/** Calls that are never cut into chunks. */
const bilinearCalls: readonly Call[] = [
  { id: 'bilinear', batch: 1, length: 20, dim: 4, ...BILINEAR },
  ...withRates('bilinear', BILINEAR),
];

/** Returns the calls that reach the layout. The others would run on a layout that the list has anyway. */
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
