/** Small attention blocks of the same width as the Mamba blocks. */
import type { StandaloneBlock } from '@mamba/core';

/** Grouped queries and rotary positions of a part of each head, as most models have them. */
export const GROUPED_BLOCK: StandaloneBlock<'attention'> = {
  kind: 'attention',
  dModel: 10,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  rope: { theta: 100, rotaryDim: 4 },
};

/** A window shorter than the laws' sequences, with everything that a block can have beside it. */
export const WINDOW_BLOCK: StandaloneBlock<'attention'> = {
  kind: 'attention',
  dModel: 10,
  heads: 3,
  headDim: 6,
  rope: { frequencies: [1, 0.3, -0.02], interleaved: true },
  window: 4,
  scale: 0.5,
  softcap: 3,
  bias: true,
  outBias: true,
  qkNormEps: 1e-5,
};

/** Tokens that stay visible beside the window, and no positions at all. */
export const GLOBAL_BLOCK: StandaloneBlock<'attention'> = {
  kind: 'attention',
  dModel: 10,
  heads: 2,
  kvHeads: 1,
  headDim: 5,
  window: 3,
  globalTokens: 2,
};
