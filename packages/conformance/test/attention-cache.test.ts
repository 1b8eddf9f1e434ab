/** The cache of attention: what a step writes, what states share, and what stays in memory. */
import { type Backend, createModel, type Model, type ModelState, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { lossAndGradients, TrainableModel } from '@mamba/train';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededWeights } from '../src/index.ts';

const attention = { kind: 'attention', heads: 2, headDim: 4, rope: {} } as const;
const sizes = { dModel: 6, vocabSize: 11 };
const full = modelConfig({ ...sizes, blocks: [attention, attention] });
const windowed = modelConfig({ ...sizes, blocks: [{ ...attention, window: 5 }, attention] });

let backend: Backend;
beforeEach(async () => {
  backend = await reference().create();
});
afterEach(() => backend.dispose());

const open = (config = full): Promise<Model> => createModel(backend, config, seededWeights(config, 1));

/** Feeds the ids one at a time, and returns the logits of every step. The given state lives on. */
async function steps(
  model: Model,
  given: ModelState | undefined,
  ids: readonly number[],
): Promise<{ logits: number[]; state: ModelState }> {
  const logits: number[] = [];
  let state = given;
  for (const id of ids) {
    const result = model.forward([[id]], { state, donateState: state !== given });
    logits.push(...(await backend.read(result.logits!)));
    result.logits!.dispose();
    state = result.state;
  }
  return { logits, state: state! };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => (7 * index + 3) % 11);

test('a step writes in place until the room is full, and room grows with the rows', async () => {
  const model = await open();
  let { state } = model.forward([range(3)]);
  const sizes: number[] = [];
  for (const id of range(200)) {
    const next = model.forward([[id]], { state, donateState: true, logits: 'none' });
    state = next.state;
    if (state.bytes !== sizes.at(-1)) sizes.push(state.bytes);
  }
  // Copies are as few as the doublings from 3 rows to 203.
  expect(sizes.length).toBeLessThanOrEqual(7);
});

test('two states that share memory continue independently, by turns', async () => {
  const model = await open();
  const { state: root } = model.forward([range(5)]);
  const { state } = await steps(model, root, [1, 2]);
  const want = [(await steps(model, state, [3, 4, 5])).logits, (await steps(model, state, [6, 7, 8])).logits];
  const before = backend.memory().bytes;
  const clone = model.cloneState(state);
  // A copy of `begun` alone: a number a layer.
  expect(backend.memory().bytes - before).toBe(2 * 8);
  const forks = [state, clone];
  const got: number[][] = [[], []];
  for (const turn of [0, 1, 2])
    for (const [fork, ids] of [
      [3, 4, 5],
      [6, 7, 8],
    ].entries()) {
      const next = await steps(model, forks[fork], [ids[turn]!]);
      got[fork]!.push(...next.logits);
      forks[fork]!.dispose();
      forks[fork] = next.state;
    }
  expect(got).toEqual(want);
});

test('rows of unequal age are written in place, and each continues as alone', async () => {
  const model = await open();
  const [old, young] = [model.forward([range(9)]).state, model.forward([[4]]).state];
  const rows = [
    { state: old, row: 0 },
    { state: young, row: 0 },
  ];
  const alone = await Promise.all([steps(model, old, [1, 2, 3]), steps(model, young, [5, 6, 7])]);
  let state = model.gatherState(rows);
  const got: number[][] = [[], []];
  for (const ids of [
    [1, 5],
    [2, 6],
    [3, 7],
  ]) {
    const next = model.forward(
      ids.map((id) => [id]),
      { state, donateState: true },
    );
    const logits = [...(await backend.read(next.logits!))];
    for (const row of [0, 1]) got[row]!.push(...logits.slice(row * 11, row * 11 + 11));
    state = next.state;
  }
  for (const row of [0, 1])
    for (const [index, value] of got[row]!.entries()) expect(value).toBeCloseTo(alone[row]!.logits[index]!, 12);
});

test('a window bounds the cache, and its snapshot holds the window alone', async () => {
  const model = await open(modelConfig({ ...windowed, blocks: windowed.blocks.slice(0, 1) }));
  const { state, logits } = await steps(model, undefined, range(60));
  // A state has k and v in float64 of at most the window, as many rows of room and the step's own, and `begun`.
  expect(state.bytes).toBeLessThanOrEqual(8 * (2 * 8 * (2 * 5 + 1) + 1));
  const whole = model.forward([range(60)], { logits: 'all' });
  const want = await backend.read(whole.logits!);
  for (const [index, value] of logits.entries()) expect(value).toBeCloseTo(want[index]!, 12);
  const { blocks } = await model.exportState(state);
  expect(blocks[0]!.slots).toEqual({ k: [5, 8], v: [5, 8], begun: [1] });
});

test('segments that carry the cache have the losses of the whole', async () => {
  const model = await TrainableModel.create(backend, windowed, seededWeights(windowed, 1));
  const ids = Int32Array.from(range(12));
  const targets = Int32Array.from(ids, (id) => (id + 1) % 11);
  const lossOf = async (state: ReturnType<typeof lossAndGradients>['state'] | undefined, from: number, to: number) => {
    const part = { batch: 1, length: to - from, ids: ids.slice(from, to), targets: targets.slice(from, to) };
    const result = lossAndGradients(model, part, { count: 1, state });
    return { loss: await result.losses.mean(), state: result.state };
  };
  const whole = await lossOf(undefined, 0, 12);
  const first = await lossOf(undefined, 0, 7);
  const second = await lossOf(first.state, 7, 8);
  const third = await lossOf(second.state, 8, 12);
  expect(first.loss + second.loss + third.loss).toBeCloseTo(whole.loss, 10);
});
