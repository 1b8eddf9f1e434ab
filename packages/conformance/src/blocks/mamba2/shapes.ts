/** Small Mamba-2 blocks of the same width as the Mamba blocks, whose extents are all different. */
import type { StandaloneBlock } from '@mamba/core';

/** Two groups of two heads, so that a norm over all channels differs from one over each group. */
export const MAMBA2_BLOCK: StandaloneBlock<'mamba2'> = {
  ...{ kind: 'mamba2', dModel: 10, heads: 4, headDim: 5, dState: 7, dConv: 4, groups: 2 },
  projectionBias: true,
};
/** A gate without a norm, step sizes within limits, and no bias of the convolution. */
export const PLAIN_GATE_BLOCK: StandaloneBlock<'mamba2'> = {
  ...{ kind: 'mamba2', dModel: 10, heads: 3, headDim: 6, dState: 5, dConv: 3 },
  ...{ norm: false, dtMin: 0.002, dtMax: 0.05, convBias: false },
};
export const NORM_FIRST_BLOCK: StandaloneBlock<'mamba2'> = {
  ...{ ...MAMBA2_BLOCK, projectionBias: false },
  ...{ normBeforeGate: true, normEps: 1e-3 },
};
