import { expect, it } from 'vitest';
import { modelConfig } from './config.ts';
import { stateBytes, stateGrows } from './slots.ts';

const attention = { kind: 'attention', heads: 2, kvHeads: 1, headDim: 4 } as const;
const model = (blocks: Parameters<typeof modelConfig>[0]['blocks']) => modelConfig({ dModel: 8, vocabSize: 4, blocks });

it('counts a state of one size at any length', () => {
  const config = model([{ kind: 'mamba', dInner: 16, dState: 3, dConv: 4, dtRank: 1 }]);
  expect(stateGrows(config)).toBe(false);
  // The states of each channel, and the last inputs of its convolution.
  expect(stateBytes(config, 0)).toBe(4 * 16 * (3 + 3));
  expect(stateBytes(config, 1000)).toBe(stateBytes(config, 0));
});

it('counts a key and a value for each token, up to the window', () => {
  const config = model([attention, { ...attention, window: 10 }]);
  expect(stateGrows(config)).toBe(true);
  // A row of k and one of v for each token, beside what has one size at any length.
  const fixed = stateBytes(config, 0);
  expect(stateBytes(config, 7) - fixed).toBe(4 * 2 * 4 * (7 + 7));
  expect(stateBytes(config, 100) - fixed).toBe(4 * 2 * 4 * (100 + 10));
});
