/** Small Mamba blocks whose extents are all different and none a multiple of a vector width. */
import { blockConfig, type StandaloneMamba } from '@mamba/core';

export const SMALL_BLOCK: StandaloneMamba = blockConfig(10, { dInner: 18, dState: 7, dtRank: 3 });
export const BIASED_BLOCK: StandaloneMamba = { ...SMALL_BLOCK, projectionBias: true };
/** A block of Falcon-Mamba, which normalises dt, B and C. */
export const FALCON_BLOCK: StandaloneMamba = { ...SMALL_BLOCK, mixerNormEps: 1e-6 };
/** A block of Jamba, whose norms of dt, B and C have weights. */
export const JAMBA_BLOCK: StandaloneMamba = { ...FALCON_BLOCK, mixerNormWeights: true };
/** A block for the same model as the others, with other sizes. */
export const OTHER_BLOCK: StandaloneMamba = { ...JAMBA_BLOCK, dInner: 13, dState: 5, dConv: 3, dtRank: 4 };
