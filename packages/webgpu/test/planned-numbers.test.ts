// Steps that are prepared, of models with LayerNorm, a table of positions, parallel blocks, and of hybrids: they give
// what core's composition gives, for one row and for several, and leave states alone that they were not given.
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type Model, type ModelConfig, type ModelState, modelConfig } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersOf, webgpu } from '../src/index.ts';

const VOCAB = 50;
const sizes = { dModel: 24, vocabSize: VOCAB };
const attention = { kind: 'attention', heads: 2, headDim: 12, bias: true, outBias: true } as const;
const rotary = { ...attention, rope: { rotaryDim: 4 } } as const;
const mlp = { kind: 'mlp', dHidden: 40, activation: 'gelu', bias: true } as const;
const gated = { kind: 'mlp', dHidden: 40, activation: 'silu' } as const;
const mamba = { kind: 'mamba', dInner: 48, dState: 8, dConv: 4, dtRank: 2 } as const;

const MODELS: Readonly<Record<string, ModelConfig>> = {
  // Products of few rows that read 32 channels apply a LayerNorm themselves; those that read 24 do not.
  'LayerNorm and a table of positions': modelConfig({
    ...{ ...sizes, dModel: 32, norm: 'layer', positions: 16, blocks: [attention, mlp] },
  }),
  'LayerNorm before a gate': modelConfig({ ...sizes, norm: 'layer', blocks: [gated, rotary] }),
  'parallel blocks after LayerNorms': modelConfig({
    ...{ ...sizes, norm: 'layer', parallel: 2, blocks: [rotary, mlp, rotary, mlp] },
  }),
  'Mamba blocks beside attention': modelConfig({ ...sizes, blocks: [mamba, rotary, mamba, mlp] }),
  'Mamba blocks after LayerNorms, in parallel': modelConfig({
    ...{ ...sizes, norm: 'layer', parallel: 2, positions: 16, blocks: [mamba, mlp] },
  }),
};

let backend: Backend;
beforeAll(async () => {
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

async function read(model: Model, ids: number[][], state: ModelState, donateState: boolean) {
  const next = model.forward(ids, { state, donateState });
  const values = await backend.read(next.logits!);
  next.logits!.dispose();
  return { values: [...values], state: next.state };
}

/** A state whose rows have been fed 2, 3, 4, … tokens. */
function unequal(model: Model, rows: number): ModelState {
  const states = Array.from({ length: rows }, (_, row) => {
    const prompt = Array.from({ length: 2 + (row % 3) }, (_, index) => (7 * row + index) % VOCAB);
    const { logits, state } = model.forward([prompt]);
    logits!.dispose();
    return state;
  });
  const gathered = model.gatherState(states.map((state) => ({ state, row: 0 })));
  for (const state of states) state.dispose();
  return gathered;
}

describe.each(Object.entries(MODELS))('a model with %s', (_, config) => {
  let fused: Model;
  let composed: Model;
  let alive: number;
  beforeAll(async () => {
    alive = countersOf(backend).buffersAlive;
    const source = seededWeights(config, 5);
    fused = await createModel(backend, config, source);
    composed = await createModel(backend, config, source, { composed: true });
  });
  afterAll(() => {
    fused.dispose();
    composed.dispose();
    expect(countersOf(backend).buffersAlive).toBe(alive);
  });

  // 9 rows are multiplied in tiles, whose sums make the next norms.
  test.each([3, 9])('steps %i rows of unequal age', async (rows) => {
    let [a, b] = [unequal(fused, rows), unequal(composed, rows)];
    for (const step of [1, 2, 3]) {
      const ids = Array.from({ length: rows }, (_, row) => [(11 * step + row) % VOCAB]);
      const [actual, expected] = [await read(fused, ids, a, true), await read(composed, ids, b, true)];
      [a, b] = [actual.state, expected.state];
      for (const [index, value] of expected.values.entries()) expect(actual.values[index]).toBeCloseTo(value, 4);
    }
    a.dispose();
    b.dispose();
  });

  test('generates what it generates step by step, and leaves the state before alone', async () => {
    const before = unequal(fused, 2);
    const whole = fused.decode([[1], [2]], before, { count: 6 });
    const ids = [...(await backend.read(whole.ids))];
    let clone = fused.cloneState(before);
    let last = [1, 2];
    for (let step = 0; step < 6; step++) {
      const next = fused.decode(
        last.map((id) => [id]),
        clone,
        { count: 1, donateState: true },
      );
      last = [...(await backend.read(next.ids))];
      expect(last).toEqual([ids[step], ids[6 + step]]);
      next.ids.dispose();
      clone = next.state;
    }
    const [first, again] = [await read(fused, [[3], [4]], before, false), await read(fused, [[3], [4]], before, false)];
    expect(again.values).toEqual(first.values);
    for (const item of [whole.ids, whole.state, clone, before, first.state, again.state]) item.dispose();
  });

  test('continues a state of the composition, and back', async () => {
    const begun = unequal(composed, 1);
    const there = fused.importState(await composed.exportState(begun));
    const [actual, expected] = [await read(fused, [[3]], there, true), await read(composed, [[3]], begun, true)];
    const back = composed.importState(await fused.exportState(actual.state));
    const [next, same] = [await read(composed, [[4]], back, true), await read(composed, [[4]], expected.state, true)];
    for (const [index, value] of same.values.entries()) expect(next.values[index]).toBeCloseTo(value, 4);
    for (const item of [actual, next, same]) item.state.dispose();
  });
});

test.each(['float16', 'bfloat16', 'q8', 'q4'] as const)('applies a LayerNorm before weights in %s', async (weights) => {
  const config = MODELS['LayerNorm and a table of positions']!;
  const source = seededWeights(config, 5);
  const models = [true, false].map((composed) => createModel(backend, config, source, { weights, composed }));
  const [composed, fused] = (await Promise.all(models)) as [Model, Model];
  const [expected, actual] = [composed, fused].map((model) => model.forward([[3], [4]]));
  const values = await backend.read(expected!.logits!);
  for (const [index, value] of (await backend.read(actual!.logits!)).entries())
    expect(value).toBeCloseTo(values[index]!, 4);
  for (const item of [expected!, actual!].flatMap(({ logits, state }) => [logits!, state])) item.dispose();
  for (const model of [composed, fused]) model.dispose();
});

test('generates the same at once, where caches get room for a part of it at a time, and in two calls', async () => {
  const config = MODELS['Mamba blocks beside attention']!;
  const model = await createModel(backend, config, seededWeights(config, 5));
  const begun = unequal(model, 1);
  const whole = model.decode([[7]], begun, { count: 131 });
  const first = model.decode([[7]], begun, { count: 129, donateState: true });
  const ids = [...(await backend.read(first.ids))];
  const rest = model.decode([[ids[128]!]], first.state, { count: 2, donateState: true });
  expect([...(await backend.read(whole.ids))]).toEqual([...ids, ...(await backend.read(rest.ids))]);
  for (const item of [whole.ids, whole.state, first.ids, rest.ids, rest.state]) item.dispose();
  model.dispose();
});

test('a step behind the table of positions is refused, and leaves the state as it was', async () => {
  const config = MODELS['LayerNorm and a table of positions']!;
  const model = await createModel(backend, config, seededWeights(config, 5));
  const { logits, state } = model.forward([Array.from({ length: 15 }, (_, index) => index)]);
  logits!.dispose();
  expect(() => model.decode([[1]], state, { count: 2, donateState: true })).toThrow(/the model has 16 positions/);
  const last = await read(model, [[1]], state, true);
  expect(() => model.forward([[1]], { state: last.state })).toThrow(/a sequence of 17 tokens/);
  last.state.dispose();
  model.dispose();
});
