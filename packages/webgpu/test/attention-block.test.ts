// The fused attention block: its dispatches, its memory, rows of unequal age, and matrices in every format.
import { seededWeights } from '@mamba/conformance';
import {
  type Backend,
  createBlock,
  createModel,
  type DType,
  type Model,
  modelConfig,
  modelParameters,
  type Tensor,
} from '@mamba/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersOf, webgpu } from '../src/index.ts';
import { counted } from './counted.ts';

const D_MODEL = 32;
const llama = { kind: 'attention', heads: 4, kvHeads: 2, headDim: 8, rope: {}, bias: true } as const;
const config = modelConfig({ dModel: D_MODEL, vocabSize: 50, blocks: [llama, { ...llama, window: 9 }] });
/** Dispatches beside the layers: embedding, norm and head, or of a step embedding, norm with head, and its end. */
const BESIDE = 3;
/** A step copies the ids that it is fed, and its logits. */
const STEP = { dispatches: 2 * 4 + BESIDE, copies: 2, readbacks: 0 };

let backend: Backend;
beforeAll(async () => {
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

/** What a piece of work asks of the device. */
const asked = (work: () => Promise<void>) => counted(backend, ['dispatches', 'copies', 'readbacks'], work);

const prompt = (length: number, first = 0): number[] => Array.from({ length }, (_, index) => (first + index) % 50);

describe('a model of attention blocks', () => {
  let model: Model;
  beforeAll(async () => {
    model = await createModel(backend, config, seededWeights(config, 1));
  });
  afterAll(() => model.dispose());

  test('reads a prompt in chunks and steps without a copy of its caches', async () => {
    let { state, logits } = model.forward([prompt(20)]);
    logits!.dispose();
    const forward = async (tokens: readonly number[]): Promise<void> => {
      const next = model.forward([tokens], { state, donateState: true });
      next.logits!.dispose();
      state = next.state;
    };
    // The norm of many rows is a dispatch of its own.
    expect(await asked(() => forward(prompt(15)))).toEqual({
      dispatches: 2 * 5 + BESIDE + 1,
      copies: 0,
      readbacks: 0,
    });
    expect(await asked(() => forward([7]))).toEqual(STEP);
    state.dispose();
  });

  test('generates by a step that is prepared once', async () => {
    const { state, logits } = model.forward([prompt(20)]);
    logits!.dispose();
    const { pipelinesMade } = countersOf(backend);
    const counts = async (): Promise<{ bindGroups: number; uploaded: number; dispatches: number }> => {
      const before = countersOf(backend);
      const { ids, state: last } = model.decode([[7]], state, { count: 8 });
      await backend.read(ids);
      ids.dispose();
      last.dispose();
      const after = countersOf(backend);
      return {
        bindGroups: after.bindGroups - before.bindGroups,
        uploaded: after.bytesUploaded - before.bytesUploaded,
        dispatches: after.dispatches - before.dispatches,
      };
    };
    await counts();
    // The state has been continued, so every other generation copies its caches, to memory that was freed before.
    await counts();
    const { bindGroups, uploaded, dispatches } = await counts();
    expect(dispatches).toBe(8 * (2 * 4 + BESIDE + 1));
    // The choice of a token goes to new ids each time.
    expect(bindGroups).toBeLessThanOrEqual(2);
    // createModel compiled the pipelines.
    expect(countersOf(backend).pipelinesMade).toBe(pipelinesMade);
    // The id that is fed, and where the row goes on in each cache.
    expect(uploaded).toBe(4 + 2 * 256);
    state.dispose();
  });

  test('generates the same at once, where caches get room for a part of it at a time, and in two calls', async () => {
    const { tensors } = backend.memory();
    const whole = model.decode([[7]], undefined, { count: 140 });
    const first = model.decode([[7]], undefined, { count: 100 });
    const ids = await backend.read(first.ids);
    const rest = model.decode([[ids[99]!]], first.state, { count: 40 });
    expect([...(await backend.read(whole.ids))]).toEqual([...ids, ...(await backend.read(rest.ids))]);
    for (const { ids: made, state } of [whole, first, rest]) {
      made.dispose();
      state.dispose();
    }
    expect(backend.memory().tensors).toBe(tensors);
  });

  test('copies each cache where it has no room', async () => {
    let { state, logits } = model.forward([[7]]);
    logits!.dispose();
    const copies = await asked(async () => {
      const next = model.forward([prompt(10)], { state, donateState: true });
      next.logits!.dispose();
      state = next.state;
    });
    expect(copies.copies).toBe(2 * 2);
    state.dispose();
  });

  test('cuts a long cache over workgroups, and adds up their parts', async () => {
    const { state, logits } = model.forward([prompt(520)]);
    logits!.dispose();
    const { dispatches } = await asked(async () => {
      const next = model.forward([[7]], { state });
      next.logits!.dispose();
      next.state.dispose();
    });
    // The window of the second block leaves nothing to cut, but the rule looks at the length of the cache.
    expect(dispatches).toBe(2 * 5 + BESIDE);
    state.dispose();
  });

  test('steps rows of unequal age in as many dispatches', async () => {
    const alone = [3, 5].map((length) => model.forward([prompt(length)]));
    let state = model.gatherState(alone.map((result) => ({ state: result.state, row: 0 })));
    const step = async (): Promise<void> => {
      const next = model.forward([[1], [2]], { state, donateState: true });
      next.logits!.dispose();
      state = next.state;
    };
    // The first step copies the caches that were gathered, since they have no room.
    await step();
    expect(await asked(step)).toEqual(STEP);
    for (const item of [...alone.flatMap((result) => [result.state, result.logits!]), state]) item.dispose();
  });
});

/** So wide that the scales of q, k and v can be bound each by itself. */
const wide = modelConfig({ dModel: D_MODEL, vocabSize: 50, blocks: [{ ...llama, heads: 16, kvHeads: 8 }] });
const FORMATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'q8', 'q4'];

test.each(FORMATS)('q, k and v are one matrix in %s, which gives what the three give', async (weights) => {
  const alive = countersOf(backend).buffersAlive;
  const source = seededWeights(wide, 4);
  const fused = await createModel(backend, wide, source, { weights });
  const composed = await createModel(backend, wide, source, { weights, composed: true });
  const logits = async (model: Model): Promise<ArrayLike<number>> => {
    const { logits, state } = model.forward([[7]]);
    state.dispose();
    const values = await backend.read(logits!);
    logits!.dispose();
    return values;
  };
  const expected = await logits(composed);
  const before = countersOf(backend).dispatches;
  const actual = await logits(fused);
  expect(countersOf(backend).dispatches - before).toBe(4 + BESIDE);
  for (let index = 0; index < expected.length; index++) expect(actual[index]).toBeCloseTo(expected[index]!, 4);
  fused.dispose();
  composed.dispose();
  expect(countersOf(backend).buffersAlive).toBe(alive);
});

test('a block by itself takes a product for each of q, k and v, since its matrices are the caller’s', async () => {
  const alone = modelConfig({ dModel: D_MODEL, vocabSize: 50, blocks: [llama] });
  const source = seededWeights(alone, 3);
  const weights: Record<string, Tensor> = {};
  for (const parameter of modelParameters(alone))
    if (parameter.key.startsWith('block.'))
      weights[parameter.key.slice('block.'.length)] = backend.upload(await source(parameter));
  const alive = countersOf(backend).buffersAlive;
  const block = createBlock(backend, { ...llama, dModel: D_MODEL }, weights);
  const x = backend.upload({
    dtype: 'float32',
    shape: [1, 5, D_MODEL],
    data: Float32Array.from({ length: 5 * D_MODEL }, (_, index) => Math.sin(index)),
  });
  const { dispatches } = await asked(async () => {
    const { y, state } = block.forward(x);
    for (const tensor of [y, ...Object.values(state)]) tensor.dispose();
  });
  expect(dispatches).toBe(3 + 3);
  x.dispose();
  block.dispose();
  expect(countersOf(backend).buffersAlive).toBe(alive);
  for (const tensor of Object.values(weights)) tensor.dispose();
});
