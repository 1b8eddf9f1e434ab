// Counts of the fused model's requests to the device.
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type Model, modelConfig } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import { countersOf, webgpu } from '../src/index.ts';
import { counted } from './counted.ts';

const config = modelConfig({ layers: 3, dModel: 24, vocabSize: 50 });
/** Dispatches of a token beside its layers: embedding, norm with head, and the choice of the token. */
const PER_TOKEN = 3;
const PER_LAYER = 3;
/** Dispatches of the first submits. Later ones are as large as the last of these. */
const BATCHES = [32, 64, 128, 256, 512];
function submitsOf(dispatches: number): number {
  let submits = 0;
  for (let left = dispatches; left > 0; submits++) left -= BATCHES[Math.min(submits, BATCHES.length - 1)]!;
  return submits;
}

describe('a fused model', () => {
  let device: GPUDevice;
  let backend: Backend;
  let model: Model;
  beforeAll(async () => {
    ({ device } = await acquire({}));
    backend = await webgpu({ device }).create();
    model = await createModel(backend, config, seededWeights(config, 1));
    await backend.synchronize();
  });
  afterAll(async () => {
    await backend.dispose();
    device.destroy();
  });

  test('compiles nothing in its first prompts and generations: createModel has', async () => {
    const before = countersOf(backend).pipelinesMade;
    for (const length of [1, 5, 20, 40, 100, 300]) {
      const ids = [Array.from({ length }, (_, index) => index % 50)];
      const { logits, state } = model.forward(ids);
      const next = model.forward(ids, { state });
      const last = model.decode([[7]], next.state, { count: 3, donateState: true });
      await backend.read(last.ids);
      for (const item of [logits!, next.logits!, last.ids, state, last.state]) item.dispose();
    }
    expect(countersOf(backend).pipelinesMade).toBe(before);
  });

  const COUNTERS = ['dispatches', 'submits', 'readbacks', 'bytesUploaded', 'bytesRead', 'buffersAlive'] as const;
  const asked = (work: () => Promise<void>) => counted(backend, COUNTERS, work);

  test('decodes 64 tokens in three dispatches a layer, few submits and one readback', async () => {
    const counts = await asked(async () => {
      const { ids, state } = model.decode([[7]], undefined, { count: 64 });
      expect(await backend.read(ids)).toHaveLength(64);
      ids.dispose();
      state.dispose();
    });
    expect(counts).toEqual({
      dispatches: 64 * (PER_LAYER * config.blocks.length + PER_TOKEN),
      submits: submitsOf(64 * (PER_LAYER * config.blocks.length + PER_TOKEN)),
      readbacks: 1,
      // Only the token that is fed first is uploaded.
      bytesUploaded: 4,
      bytesRead: 4 * 64,
      buffersAlive: 0,
    });
  });

  test('submits long generations in batches that grow, and still reads once', async () => {
    const counts = await asked(async () => {
      const { ids, state } = model.decode([[7]], undefined, { count: 200 });
      await backend.read(ids);
      ids.dispose();
      state.dispose();
    });
    expect(counts.submits).toBe(submitsOf(200 * (PER_LAYER * config.blocks.length + PER_TOKEN)));
    expect(counts.readbacks).toBe(1);
  });

  test('looks a state up once: a generation in parts makes bind groups only for where its tokens go', async () => {
    let { ids, state } = model.decode([[7]], undefined, { count: 2 });
    ids.dispose();
    const before = countersOf(backend).bindGroups;
    for (let part = 0; part < 5; part++) {
      ({ ids, state } = model.decode([[7]], state, { count: 2, donateState: true }));
      ids.dispose();
    }
    state.dispose();
    expect(countersOf(backend).bindGroups - before).toBe(5);
  });

  test('finds a step again for a new state in the memory of an old one', async () => {
    const generate = () => {
      const { ids, state } = model.decode([[7]], undefined, { count: 2 });
      ids.dispose();
      state.dispose();
    };
    // The pool gives memory out in another order than it was given back, so two orders take turns.
    for (let call = 0; call < 4; call++) generate();
    const before = countersOf(backend).bindGroups;
    for (let call = 0; call < 6; call++) generate();
    expect(countersOf(backend).bindGroups - before).toBeLessThanOrEqual(6 * 2);
  });

  test('decodes many states in turn, more than it keeps prepared', async () => {
    const states = Array.from({ length: 20 }, (_, index) => {
      const { ids, state } = model.decode([[index]], undefined, { count: 1 });
      ids.dispose();
      return state;
    });
    const together: number[][] = [];
    for (const [index, state] of states.entries()) {
      const result = model.decode([[index]], state, { count: 4, donateState: true });
      together.push([...(await backend.read(result.ids))]);
      result.ids.dispose();
      result.state.dispose();
    }
    for (const index of [0, 3, 19]) {
      const first = model.decode([[index]], undefined, { count: 1 });
      const alone = model.decode([[index]], first.state, { count: 4, donateState: true });
      expect(together[index]).toEqual([...(await backend.read(alone.ids))]);
      for (const item of [first.ids, alone.ids, alone.state]) item.dispose();
    }
  });

  test('steps in three dispatches a layer as well', async () => {
    const first = model.forward([[1, 2, 3]]);
    const counts = await asked(async () => {
      const next = model.forward([[4]], { state: first.state, donateState: true });
      await backend.read(next.logits!);
      next.logits!.dispose();
      next.state.dispose();
    });
    first.logits!.dispose();
    expect(counts.dispatches).toBe(PER_LAYER * config.blocks.length + 2);
  });

  test('prefills in seven dispatches a layer, without reading anything back', async () => {
    const counts = await asked(async () => {
      const { logits, state } = model.forward([Array.from({ length: 40 }, (_, index) => index)]);
      await backend.synchronize();
      logits!.dispose();
      state.dispose();
    });
    expect(counts).toMatchObject({
      dispatches: 7 * config.blocks.length + 2,
      submits: 1,
      readbacks: 0,
      buffersAlive: 0,
    });
  });

  test('generates the same whether it is stepped or decoded', async () => {
    const decoded = model.decode([[3], [9]], undefined, { count: 12 });
    const ids = (await backend.read(decoded.ids)) as Int32Array;
    for (const [row, first] of [3, 9].entries()) {
      let token = first;
      let state: ReturnType<Model['forward']>['state'] | undefined;
      for (let index = 0; index < 12; index++) {
        const result = model.forward([[token]], state === undefined ? {} : { state, donateState: true });
        const logits = await backend.read(result.logits!);
        result.logits!.dispose();
        state = result.state;
        token = logits.indexOf(Math.max(...logits));
        expect(ids[row * 12 + index]).toBe(token);
      }
      state!.dispose();
    }
    decoded.ids.dispose();
    decoded.state.dispose();
  });

  test('leaves no buffer alive after dispose', async () => {
    // Both backends are on one device, whose pipelines are compiled.
    const other = await webgpu({ device }).create();
    const small = await createModel(other, config, seededWeights(config, 1));
    small.decode([[1]], undefined, { count: 3 });
    await other.synchronize();
    expect(countersOf(other).buffersAlive).toBeGreaterThan(0);
    await other.dispose();
    expect(countersOf(other).buffersAlive).toBe(0);
  });
});
