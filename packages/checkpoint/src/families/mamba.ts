/** Mamba: transformers' `mamba`, and llama.cpp's architecture `mamba`, which includes Falcon-Mamba. */
import { type BlockConfig, type MambaConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { beyondRms } from '@mamba/core/toolkit';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, show } from '../errors.ts';
import type { Family, GgufFormat } from './family.ts';
import {
  epsilon,
  float32,
  GGUF_MODEL,
  mambaEntries,
  mambaLimits,
  readMamba,
  readSizes,
  recurrentEntries,
} from './shared/gguf.ts';
import { expanded, GGUF_MIXER, MIXER, readDtRank } from './shared/mamba-block.ts';
import { repeatedRefusal } from './shared/refusals.ts';
import { byTable, prefixed, type TensorTable } from './table.ts';

/** llama.cpp's architecture `mamba`, extended by biases of in_proj and out_proj and by a second eps. */
const gguf: GgufFormat = {
  architecture: 'mamba',
  refusal: (config) => uniformMambaRefusal(config) ?? normWeightsRefusal(mambaOf(config)),
  config(file) {
    const { layers, dModel, vocabSize, normEps, tiedHead } = readSizes(file, 'mamba');
    const { metadata } = file;
    const mixerNormEps = metadata.values.has(MIXER_EPS) ? epsilon(metadata, MIXER_EPS) : normEps;
    return modelConfig(
      { layers, dModel, vocabSize },
      { ...readMamba(file, 'mamba'), ...(metadata.boolean(MIXER_NORM, false) && { mixerNormEps }), normEps, tiedHead },
    );
  },
  metadata(config) {
    const block = mambaOf(config);
    const { mixerNormEps } = block;
    return [
      ...recurrentEntries('mamba', config),
      ...mambaEntries('mamba', block),
      ['mamba.attention.layer_norm_rms_epsilon', float32(config.normEps)],
      [MIXER_NORM, { type: 'bool', value: mixerNormEps !== undefined }],
      ...(mixerNormEps === undefined || mixerNormEps === config.normEps
        ? []
        : ([[MIXER_EPS, float32(mixerNormEps)]] as const)),
    ];
  },
  tensors: (config) => byTable(GGUF_TENSORS, config),
  llamaCppLimits(config) {
    const { dModel, normEps } = config;
    const { mixerNormEps } = mambaOf(config);
    const limits = mambaLimits(dModel, mambaOf(config));
    if (mixerNormEps !== undefined && mixerNormEps !== normEps)
      limits.push(`the mixer's norms use normEps ${normEps} there, not ${mixerNormEps}`);
    return limits;
  },
};

const MIXER_NORM = 'mamba.ssm.dt_b_c_rms';
/**
 * The eps of the mixer's norms, an extension. llama.cpp uses `normEps` for them, whatever the config of a Falcon-Mamba
 * says.
 */
const MIXER_EPS = 'mamba.ssm.dt_b_c_rms_epsilon';

const GGUF_TENSORS: TensorTable = {
  model: GGUF_MODEL,
  layers: { mamba: { norm: 'blk.#.attn_norm.weight', ...prefixed('blk.#.', GGUF_MIXER) } },
};

/** The names of tensors in transformers' Mamba and Falcon-Mamba. */
const TENSORS: TensorTable = {
  model: {
    embedding: 'backbone.embeddings.weight',
    finalNorm: 'backbone.norm_f.weight',
    head: 'lm_head.weight',
  },
  layers: { mamba: { norm: 'backbone.layers.#.norm.weight', ...prefixed('backbone.layers.#.mixer.', MIXER) } },
};

/** The parts that transformers' Mamba and Falcon-Mamba have in common. */
export const transformersMamba = {
  tensors: (config: ModelConfig) => byTable(TENSORS, config),
  base: 'backbone.',
  aliases: { 'backbone.embedding.weight': 'backbone.embeddings.weight' },
  tiedField: 'tie_word_embeddings',
} as const;

/** Reads the config of transformers' Mamba or Falcon-Mamba. `intermediate_size` takes precedence over `expand`. */
export function readTransformersMamba(fields: Fields, more: Partial<MambaConfig>): ModelConfig {
  fields.oneOf('hidden_act', ['silu', 'swish'], 'silu');
  const dModel = fields.integer(['hidden_size', 'd_model'], 1, MAX_SIZE);
  const hasInnerSize = fields.get('intermediate_size') !== undefined;
  // If `intermediate_size` is given, `expand` may be any number.
  const inner = hasInnerSize ? fields.integer(['expand'], 1, 2 ** 16, 2) : expanded(fields, 'expand', dModel);
  const sizes = {
    dInner: fields.integer(['intermediate_size', 'd_inner'], 1, MAX_SIZE, inner),
    dState: fields.integer(['state_size', 'd_state'], 1, MAX_SIZE, 16),
    dConv: fields.integer(['conv_kernel', 'd_conv'], 2, 2 ** 16, 4),
    dtRank: readDtRank(fields, 'time_step_rank', dModel),
  };
  return modelConfig(
    {
      layers: fields.integer(['num_hidden_layers', 'n_layer'], 1, MAX_LAYERS),
      dModel,
      vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    },
    {
      ...sizes,
      ...more,
      normEps: fields.number('layer_norm_epsilon', 0, 1, 1e-5),
      tiedHead: fields.boolean('tie_word_embeddings', true),
      projectionBias: fields.boolean('use_bias', false),
      convBias: fields.boolean('use_conv_bias', true),
    },
  );
}

/** The fields after `model_type`. Those of `more` follow the eps of the layers. */
export function transformersMambaJson(config: ModelConfig, more: object): object {
  const { dInner, dState, dConv, dtRank, projectionBias, convBias } = mambaOf(config);
  return {
    hidden_size: config.dModel,
    intermediate_size: dInner,
    // transformers computes the inner size from `expand`.
    ...(dInner % config.dModel === 0 && { expand: dInner / config.dModel }),
    state_size: dState,
    conv_kernel: dConv,
    time_step_rank: dtRank,
    num_hidden_layers: config.blocks.length,
    vocab_size: config.vocabSize,
    layer_norm_epsilon: config.normEps,
    ...more,
    tie_word_embeddings: config.tiedHead,
    use_bias: projectionBias,
    use_conv_bias: convBias,
    hidden_act: 'silu',
  };
}

/** The reason why a model is not a list of Mamba blocks of equal sizes, in words; undefined where it is. */
export function uniformMambaRefusal(config: ModelConfig): string | undefined {
  return beyondRms(config) ?? repeatedRefusal(config, 'mamba');
}

/** The reason why norms of dt, B and C are not without weights, in words; undefined where there are no such weights. */
export function normWeightsRefusal({ mixerNormEps, mixerNormWeights }: MambaConfig): string | undefined {
  return mixerNormEps !== undefined && mixerNormWeights ? 'has weights in the norms of dt, B and C' : undefined;
}

/**
 * The first block of a model that begins with Mamba. Since `refusal` accepts uniform models alone, it stands for all of
 * them.
 */
export function mambaOf({ blocks }: ModelConfig): BlockConfig<'mamba'> {
  return blocks[0] as BlockConfig<'mamba'>;
}

export const mamba: Family = {
  name: 'mamba',
  folder: {
    // Converted checkpoints may still name the last class, that of state-spaces.
    identity: { modelType: 'mamba', architectures: ['MambaForCausalLM', 'MambaModel', 'MambaLMHeadModel'] },
    refusal: (config) =>
      uniformMambaRefusal(config) ??
      (mambaOf(config).mixerNormEps === undefined ? undefined : 'has norms of dt, B and C'),
    config(fields) {
      const eps = fields.get('mixer_rms_eps');
      if (eps !== undefined)
        throw damaged(fields.origin('mixer_rms_eps'), show(eps), 'none, since model_type is mamba');
      return readTransformersMamba(fields, {});
    },
    json: (config) => transformersMambaJson(config, {}),
    ...transformersMamba,
  },
  gguf,
};
