/** State slots that grow by a row for each token obey every law of states: gathered, exported, donated, copied. */
import { createModel, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { describe, expect, test } from 'vitest';
import { seededWeights } from '../src/index.ts';
import { describeConformance } from '../src/vitest.ts';
import { defineRecall } from './recall.ts';

defineRecall();
const noResets = 'recall has no resets: it is a test of slots';
describeConformance(reference(), {
  scope: [],
  kinds: [
    { config: { kind: 'recall', dModel: 10, lag: 4 }, noResets },
    { config: { kind: 'recall', dModel: 10, lag: 2, window: 3 }, name: 'recall-windowed', noResets },
  ],
});

describe('a state that grows', () => {
  const config = modelConfig({
    ...{ dModel: 6, vocabSize: 11 },
    blocks: [
      { kind: 'recall', lag: 2 },
      { kind: 'recall', lag: 1, window: 2 },
    ],
  });

  test('tells its size, and its snapshot the rows that it holds', async () => {
    const backend = await reference().create();
    const model = await createModel(backend, config, seededWeights(config, 1));
    const zero = model.zeroState(2);
    expect(zero.bytes).toBe(0);
    expect((await model.exportState(zero)).blocks.map(({ slots }) => slots)).toEqual([{}, {}]);
    const { state } = model.forward([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(state.bytes).toBe(8 * 2 * (3 + 2) * 6);
    const { blocks } = await model.exportState(state);
    expect(blocks.map(({ slots }) => slots)).toEqual([{ past: [3, 6] }, { past: [2, 6] }]);
    await backend.dispose();
  });

  test('of other positions than its rows is refused', async () => {
    const backend = await reference().create();
    const model = await createModel(backend, config, seededWeights(config, 1));
    const snapshot = await model.exportState(model.forward([[1, 2, 3]]).state);
    expect(() => model.importState({ ...snapshot, positions: [4] })).toThrow(/past \[4, 6\]/);
    await backend.dispose();
  });
});
