/** Small feed-forward blocks of the same width as the Mamba blocks, with extents that differ from theirs. */
import type { StandaloneBlock } from '@mamba/core';

export const SWIGLU_BLOCK: StandaloneBlock<'mlp'> = { kind: 'mlp', dModel: 10, dHidden: 23, activation: 'silu' };
export const GELU_BLOCK: StandaloneBlock<'mlp'> = {
  ...SWIGLU_BLOCK,
  activation: 'gelu-tanh',
  gated: false,
  bias: true,
};
