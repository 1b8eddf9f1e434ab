import { createBlock, type StandaloneBlock } from '@mamba/core';
import { type BadInput, untyped } from '../../invariants/attempts.ts';
import { GROUPED_BLOCK, WINDOW_BLOCK } from './shapes.ts';

const refused = (name: string, config: StandaloneBlock<'attention'>): BadInput => [
  `attention-${name}`,
  'invalid-argument',
  ({ backend }) =>
    () =>
      createBlock(backend, config, untyped({})),
];

export const attentionBadInput: readonly BadInput[] = [
  refused('groups-of-heads', { ...GROUPED_BLOCK, kvHeads: 3 }),
  refused('odd-rotary', { ...GROUPED_BLOCK, rope: { rotaryDim: 3 } }),
  refused('rotary-beyond-head', { ...GROUPED_BLOCK, rope: { rotaryDim: 8 } }),
  refused('frequencies-and-theta', { ...GROUPED_BLOCK, rope: { theta: 1e4, frequencies: [1, 1, 1] } }),
  refused('no-window', { ...WINDOW_BLOCK, window: 0 }),
  refused('globals-without-window', { ...GROUPED_BLOCK, globalTokens: 2 }),
  refused('unknown-option', { ...GROUPED_BLOCK, ...untyped({ dropout: 0.1 }) }),
];
