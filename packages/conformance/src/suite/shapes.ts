/** Small models whose extents are all different and none a multiple of a vector width. */
import {
  type BlockConfig,
  type ModelConfig,
  modelConfig,
  type StandaloneMamba,
  type UniformMambaConfig,
} from '@mamba/core';
import { OTHER_BLOCK, SMALL_BLOCK } from '../blocks/mamba/shapes.ts';

/** A small model of Mamba blocks of equal sizes. */
export function smallModel(overrides: Partial<UniformMambaConfig> = {}): ModelConfig {
  return modelConfig({ layers: 2, dModel: 10, vocabSize: 37 }, { ...SMALL_BLOCK, tiedHead: false, ...overrides });
}

export const SMALL_MODEL: ModelConfig = smallModel();
export const TIED_MODEL: ModelConfig = smallModel({ tiedHead: true });
export const BIASED_MODEL: ModelConfig = smallModel({ projectionBias: true, dConv: 3 });
export const FALCON_MODEL: ModelConfig = smallModel({ mixerNormEps: 1e-6 });

const mlp = { kind: 'mlp', dHidden: 23 } as const;

/** A model of alternating kinds, with Mamba blocks of different sizes. */
export const MIXED_MODEL: ModelConfig = modelConfig({
  dModel: 10,
  vocabSize: 37,
  tiedHead: false,
  blocks: [
    withoutWidth(SMALL_BLOCK),
    { ...mlp, activation: 'silu' },
    withoutWidth(OTHER_BLOCK),
    { ...mlp, activation: 'relu2', bias: true },
    { ...mlp, dHidden: 9, activation: 'gelu', gated: true },
  ],
});

/** A model with LayerNorm, and with factors of embedding, residual and logits. */
export const SCALED_MODEL: ModelConfig = modelConfig({
  ...MIXED_MODEL,
  blocks: MIXED_MODEL.blocks.slice(0, 2),
  norm: 'layer',
  multipliers: { embedding: 3, residual: 0.4, logits: 0.5 },
});

/** A model of pairs of blocks that read the same residual. */
export const PARALLEL_MODEL: ModelConfig = modelConfig({
  ...MIXED_MODEL,
  blocks: MIXED_MODEL.blocks.slice(0, 4),
  parallel: 2,
});

function withoutWidth({ dModel: _, ...block }: StandaloneMamba): BlockConfig<'mamba'> {
  return { ...block, kind: 'mamba' };
}
