/** Small blocks and models whose extents are all different and none a multiple of a vector width. */
import { type BlockConfig, blockConfig, type ModelConfig, modelConfig } from '@mamba/core';

export const SMALL_BLOCK: BlockConfig = blockConfig(10, { dInner: 18, dState: 7, dtRank: 3 });
export const FALCON_BLOCK: BlockConfig = { ...SMALL_BLOCK, mixerNormEps: 1e-6 };

const sizes = { layers: 2, dModel: 10, vocabSize: 37 };

export const SMALL_MODEL: ModelConfig = modelConfig(sizes, { ...SMALL_BLOCK, tiedHead: false });
export const TIED_MODEL: ModelConfig = { ...SMALL_MODEL, tiedHead: true };
export const BIASED_MODEL: ModelConfig = { ...SMALL_MODEL, projectionBias: true, dConv: 3 };
export const FALCON_MODEL: ModelConfig = { ...SMALL_MODEL, mixerNormEps: 1e-6 };
