/** The longer chunks of S4D's scan, which large calls get, forced on small ones. */
import { checkCase, describeReport, s4dBackwardCase, s4dCase, type TensorReport } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDriver } from '../src/driver.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu } from '../src/gpu/gpu.ts';
import { s4d, s4dLayout } from '../src/operations/s4d.ts';
import { s4dBackward } from '../src/operations/s4d-backward.ts';

const shape = { batch: 2, length: 300, dim: 5, state: 6, B: true, initialState: true, resets: true } as const;
/** The lanes that fill the imagined device: the chunks have 64 steps, or 256. */
const FILLINGS = [46, 11] as const;

let gpu: Gpu;
let oracle: Backend;
beforeAll(async () => {
  gpu = new Gpu(await acquire({}));
  oracle = await reference().create();
});
afterAll(async () => {
  await gpu.dispose();
  await oracle.dispose();
});

test.each(FILLINGS)('with %d lanes to fill, chunks give the numbers of the reference', async (filling) => {
  const driver = createDriver(gpu);
  const chunks: number[] = [];
  const backend = createBackend({
    ...driver,
    // The device is closed once, behind all tests.
    dispose: () => {},
    kernels: {
      ...driver.kernels,
      s4d: (call) => {
        chunks.push(s4dLayout(call, filling).chunk);
        return s4d(gpu, call, s4dLayout(call, filling));
      },
      s4dBackward: (call) => s4dBackward(gpu, call, s4dLayout(call, filling)),
    },
  });
  const reports: TensorReport[] = [];
  for (const discretization of ['zoh', 'bilinear'] as const)
    for (const item of [s4dCase({ ...shape, discretization }), s4dBackwardCase({ ...shape, discretization })])
      reports.push(...((await checkCase(item, { backend, reference: oracle })) as readonly TensorReport[]));
  expect(reports.filter(({ pass }) => !pass).map(describeReport)).toEqual([]);
  expect(reports).toHaveLength(2 * (2 + 7));
  expect(new Set(chunks)).toEqual(new Set([filling === 46 ? 64 : 256]));
});
