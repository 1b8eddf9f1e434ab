// Parameters are written to in place, as an optimizer does, and the kernels make their packed copies again.
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type Model, modelConfig, modelParameters } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDriver } from '../src/driver.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu } from '../src/gpu/gpu.ts';
import type { Storage } from '../src/storage.ts';

let gpu: Gpu;
let backend: Backend;
/** The storage of every upload, in order. */
const storages: Storage[] = [];
beforeAll(async () => {
  gpu = new Gpu(await acquire({}), {});
  const driver = createDriver(gpu);
  backend = createBackend({
    ...driver,
    // Joined matrices would lie elsewhere than where they were uploaded.
    join: () => undefined,
    upload(host, target) {
      const storage = driver.upload(host, target);
      storages.push(storage);
      return storage;
    },
  });
});
afterAll(() => backend.dispose());

const blocks = [
  {
    kind: 'mamba',
    dInner: 48,
    dState: 16,
    dConv: 4,
    dtRank: 2,
    mixerNormEps: 1e-6,
    mixerNormWeights: true,
    projectionBias: true,
  },
  { kind: 'mlp', dHidden: 40, activation: 'silu', bias: true },
] as const;

const attention = {
  kind: 'attention',
  ...{ heads: 2, headDim: 12, rope: {}, qkNormEps: 1e-5, bias: true, outBias: true },
} as const;

test.each([
  { form: 'a model', rest: { blocks } },
  { form: 'a model that runs layer by layer', rest: { blocks: [...blocks, attention] } },
  { form: 'a model of parallel blocks', rest: { norm: 'layer', parallel: 3, blocks: [...blocks, attention] } },
  { form: 'a model that runs block by block', rest: { blocks, multipliers: { residual: 0.5 } } },
] as const)('$form sees what is written to its parameters', async ({ rest }) => {
  const config = modelConfig({ dModel: 24, vocabSize: 50, ...rest });
  const [before, after] = [seededWeights(config, 1), seededWeights(config, 2)];
  storages.length = 0;
  const model = await createModel(backend, config, before);
  const held = [...storages];
  const old = await outputs(model);
  for (const [index, parameter] of modelParameters(config).entries()) {
    const { data } = await after(parameter);
    gpu.recorder.write(held[index]!.parts[0]!.buffer.buffer, 0, new Uint8Array(Float32Array.from(data).buffer));
  }
  model.weightsChanged();
  const changed = await outputs(model);
  model.dispose();
  const fresh = await createModel(backend, config, after);
  expect(changed).toEqual(await outputs(fresh));
  expect(changed).not.toEqual(old);
  fresh.dispose();
});

/** Returns the logits of a prompt and of a step. */
async function outputs(model: Model): Promise<number[]> {
  const first = model.forward([[1, 2, 3, 4]]);
  const second = model.forward([[5]], { state: first.state });
  const values = [...(await backend.read(first.logits!)), ...(await backend.read(second.logits!))];
  for (const item of [first.logits!, first.state, second.logits!, second.state]) item.dispose();
  return values;
}
