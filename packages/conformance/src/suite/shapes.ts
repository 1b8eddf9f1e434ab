/** Small blocks and models whose extents are all different and none a multiple of a vector width. */
import {
  blockConfig,
  type ModelConfig,
  modelConfig,
  type StandaloneBlock,
  type StandaloneMamba,
  type UniformMambaConfig,
} from '@mamba/core';

export const SMALL_BLOCK: StandaloneMamba = blockConfig(10, { dInner: 18, dState: 7, dtRank: 3 });
export const BIASED_BLOCK: StandaloneMamba = { ...SMALL_BLOCK, projectionBias: true };
export const FALCON_BLOCK: StandaloneMamba = { ...SMALL_BLOCK, mixerNormEps: 1e-6 };
/** Jamba's: its norms of dt, B and C have weights. */
export const JAMBA_BLOCK: StandaloneMamba = { ...FALCON_BLOCK, mixerNormWeights: true };
export const SWIGLU_BLOCK: StandaloneBlock<'mlp'> = { kind: 'mlp', dModel: 10, dHidden: 23, activation: 'silu' };
export const GELU_BLOCK: StandaloneBlock<'mlp'> = {
  ...SWIGLU_BLOCK,
  activation: 'gelu-tanh',
  gated: false,
  bias: true,
};

/** A small model of alike Mamba blocks. */
export function smallModel(overrides: Partial<UniformMambaConfig> = {}): ModelConfig {
  return modelConfig({ layers: 2, dModel: 10, vocabSize: 37 }, { ...SMALL_BLOCK, tiedHead: false, ...overrides });
}

export const SMALL_MODEL: ModelConfig = smallModel();
export const TIED_MODEL: ModelConfig = smallModel({ tiedHead: true });
export const BIASED_MODEL: ModelConfig = smallModel({ projectionBias: true, dConv: 3 });
export const FALCON_MODEL: ModelConfig = smallModel({ mixerNormEps: 1e-6 });

const { dModel: _, ...smallMamba } = { ...SMALL_BLOCK, kind: 'mamba' as const };
const mlp = { kind: 'mlp', dHidden: 23 } as const;

/** Kinds in turn, and Mamba blocks of different sizes. */
export const MIXED_MODEL: ModelConfig = modelConfig({
  dModel: 10,
  vocabSize: 37,
  tiedHead: false,
  blocks: [
    smallMamba,
    { ...mlp, activation: 'silu' },
    { ...smallMamba, dInner: 13, dState: 5, dConv: 3, dtRank: 4, mixerNormEps: 1e-6, mixerNormWeights: true },
    { ...mlp, activation: 'relu2', bias: true },
    { ...mlp, dHidden: 9, activation: 'gelu', gated: true },
  ],
});

/** What is the model's own: LayerNorm and factors of embedding, residual and logits. */
export const SCALED_MODEL: ModelConfig = modelConfig({
  ...MIXED_MODEL,
  blocks: MIXED_MODEL.blocks.slice(0, 2),
  norm: 'layer',
  multipliers: { embedding: 3, residual: 0.4, logits: 0.5 },
});
