// Every layout of Mamba-2's scan that some shape may get is forced here, against the reference. Calls share their
// options, and with them pipelines.
import {
  checkCase,
  describeReport,
  type SsdScanCaseOptions,
  ssdScanBackwardCase,
  ssdScanCase,
  type TensorReport,
} from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import { countersOf, type SsdVariant, webgpu } from '../src/index.ts';
import { planSsd } from '../src/operations/ssd-scan-plan.ts';

const SIZES = { heads: 2, headDim: 5, state: 18, initialState: true, resets: true } as const;
const calls: readonly SsdScanCaseOptions[] = [
  { id: 'one-chunk', batch: 3, length: 61, ...SIZES },
  { id: 'chunks', batch: 3, length: 300, ...SIZES },
  { id: 'step', batch: 3, length: 1, ...SIZES },
];
/** Calls whose tensors are read in vec4s, as those of models are. */
const quads = { heads: 2, headDim: 68, state: 20, initialState: true } as const;
const callsInQuads: readonly SsdScanCaseOptions[] = [
  { id: 'quads', batch: 2, length: 150, ...quads, groups: 2, flat: true },
  { id: 'quads-fresh', batch: 1, length: 531, ...quads, state: 132, initialState: false, resets: true },
  { id: 'quads-narrow', batch: 2, length: 700, heads: 2, headDim: 12, state: 72, initialState: true },
  { id: 'quads-short', batch: 1, length: 3, ...quads, D: 'wide' },
];
const variants: readonly SsdVariant[] = [
  { chunked: true, rows: 2 },
  { chunk: 128, chunked: true, segments: 2 },
  { chunk: 128, chunked: true, segments: 100 },
  { chunk: 256, chunked: true, rows: 1, segments: 1 },
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

describe.each(variants)('the scan of Mamba-2 with %o', (ssdVariant) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await webgpu({ device, testing: { ssdVariant } }).create();
  });
  afterAll(() => backend.dispose());

  test.each([...calls, ...callsInQuads])('$id', async (call) => {
    // The backward has one length of chunks, but takes ranges of rows as the scan does.
    const backward = ssdVariant.rows === 2 && call.headDim === SIZES.headDim;
    const items = backward ? [ssdScanCase(call), ssdScanBackwardCase(call)] : [ssdScanCase(call)];
    for (const item of items) {
      const outcome = await checkCase(item, { backend, reference: oracle });
      expect(outcome).not.toHaveProperty('skipped');
      const failed = (outcome as readonly TensorReport[]).filter(({ pass }) => !pass);
      expect(failed.map(describeReport)).toEqual([]);
    }
  });

  test('gives its memory back', async () => {
    const { buffersAlive } = countersOf(backend);
    const prepared = await ssdScanCase(calls[1]!).prepare(backend);
    for (const tensor of Object.values(prepared.run())) tensor.dispose();
    prepared.dispose();
    expect(countersOf(backend).buffersAlive).toBe(buffersAlive);
  });
});

describe('the plan', () => {
  const shape = { batch: 1, length: 2048, heads: 48, headDim: 64, groups: 1, state: 128, skips: 48, resets: false };
  const most = 2 ** 28;

  test('has as many segments as fill the device', () => {
    expect(planSsd(shape, most)).toMatchObject({ chunk: 128, chunks: 16, segments: { count: 8, chunks: 2 } });
    expect(planSsd({ ...shape, batch: 8 }, most)).toMatchObject({ rows: 8, segments: { count: 1, chunks: 16 } });
    expect(planSsd({ ...shape, batch: 99 }, most)).toMatchObject({ segments: { count: 1 } });
  });

  test('has short chunks without segments where channels or states are no multiple of four', () => {
    expect(planSsd({ ...shape, state: 126 }, most)).toMatchObject({ chunk: 64, chunks: 32, segments: undefined });
  });

  test('takes fewer rows, and then longer chunks, where the states do not fit in a binding', () => {
    expect(planSsd({ ...shape, batch: 8 }, 2 ** 24)).toMatchObject({ chunk: 128, rows: 2 });
    expect(planSsd({ ...shape, length: 8192 }, 2 ** 24)).toMatchObject({ chunk: 256, rows: 1 });
    expect(planSsd({ ...shape, length: 2 ** 20 }, 2 ** 24)).toMatch(/one sequence of 1048576 steps/);
  });
});
