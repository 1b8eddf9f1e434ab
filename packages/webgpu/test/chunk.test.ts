// The tokens that a call computes at once by default: as many as fill a device, fewer of each row where a batch or a
// model is large, and none that the device refuses.
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, MAMBA_SIZES, modelConfig } from '@mamba/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu } from '../src/gpu/gpu.ts';
import { countersOf, webgpu } from '../src/index.ts';
import { chunksOf } from '../src/model/chunk.ts';
import { kernelContext } from '../src/operations/kernel-context.ts';
import { limited } from './limited.ts';

const small = modelConfig({ layers: 1, dModel: 16, vocabSize: 5000 });

let device: GPUDevice;
let backend: Backend;
beforeAll(async () => {
  ({ device } = await acquire({}));
  backend = await webgpu({ device }).create();
});
afterAll(async () => {
  await backend.dispose();
  device.destroy();
});

test('a large batch and a large model take fewer tokens of a row', async () => {
  const kernels = kernelContext(new Gpu(await acquire({ device })), {});
  const of = (size: keyof typeof MAMBA_SIZES, batch: number) =>
    chunksOf(kernels, modelConfig(MAMBA_SIZES[size]))(batch, 'none');
  expect([1, 2, 4, 64].map((batch) => of('mamba-130m', batch))).toEqual([2048, 1024, 512, 512]);
  const sizes = ['mamba-370m', 'mamba-790m', 'mamba-2.8b'] as const;
  expect(sizes.map((size) => of(size, 1))).toEqual([1536, 640, 512]);
});

test('a prompt runs in one pass, and logits of all its tokens in passes that the device can bind', async () => {
  const model = await createModel(backend, small, seededWeights(small, 1));
  expect([1, 3].map((batch) => model.preferredChunk(batch))).toEqual([2048, 640]);
  const ids = [Array.from({ length: 700 }, (_, index) => index)];
  const dispatches = (chunk?: number) => {
    const before = countersOf(backend).dispatches;
    const { logits, state } = model.forward(ids, { chunk });
    for (const item of [logits!, state]) item.dispose();
    return countersOf(backend).dispatches - before;
  };
  expect(dispatches()).toBe(dispatches(700));
  expect(dispatches(512)).toBeGreaterThan(dispatches());
  model.dispose();

  const binding = 4 * 1100 * small.vocabSize;
  const narrow = await webgpu({ device: limited(device, { maxStorageBufferBindingSize: binding }) }).create();
  const bounded = await createModel(narrow, small, seededWeights(small, 1));
  expect([bounded.preferredChunk(1, 'last'), bounded.preferredChunk(1, 'all')]).toEqual([2048, 1024]);
  bounded.dispose();
  await narrow.dispose();
});
