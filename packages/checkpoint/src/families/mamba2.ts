/**
 * Mamba-2: transformers' `mamba2` and llama.cpp's architecture `mamba2`.
 *
 * Where there are several groups (Codestral Mamba), the gated norm is over each group, as mamba_ssm and llama.cpp
 * compute it and as such models were trained. transformers normalises all channels together, and so differs.
 */
import { type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { beyondRms } from '@mamba/core/toolkit';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, show } from '../errors.ts';
import type { Family, GgufFormat } from './family.ts';
import {
  float32,
  GGUF_MODEL,
  mambaEntries,
  mambaLimits,
  readMamba,
  readSizes,
  recurrentEntries,
  uint32,
} from './shared/gguf.ts';
import { repeated } from './shared/layers.ts';
import { expanded } from './shared/mamba-block.ts';
import {
  gateRefusal,
  ggufMixer2,
  innerOf,
  limitsJson,
  MIXER2,
  mamba2Block,
  readLimits,
} from './shared/mamba2-block.ts';
import { expandRefusal, repeatedRefusal } from './shared/refusals.ts';
import { byTable, prefixed, type TensorTable } from './table.ts';

const TENSORS: TensorTable = {
  model: {
    embedding: 'backbone.embeddings.weight',
    finalNorm: 'backbone.norm_f.weight',
    head: 'lm_head.weight',
  },
  layers: { mamba2: { norm: 'backbone.layers.#.norm.weight', ...prefixed('backbone.layers.#.mixer.', MIXER2) } },
};

const gguf: GgufFormat = {
  architecture: 'mamba2',
  refusal(config) {
    const { dtMin, dtMax } = mamba2Of(config);
    const limited = dtMin !== undefined || dtMax !== undefined;
    return refusal(config) ?? (limited ? 'has limits of the step size' : undefined);
  },
  config(file) {
    const { metadata } = file;
    const { layers, ...model } = readSizes(file, 'mamba2');
    const { dInner, dtRank: heads, dState, dConv, projectionBias, convBias } = readMamba(file, 'mamba2');
    const headDim = dInner / heads;
    if (!Number.isInteger(headDim))
      throw damaged(metadata.origin(HEADS), show(heads), `a number of heads that divides the inner size, ${dInner}`);
    const groups = metadata.integer(GROUPS, 1, MAX_SIZE);
    const sizes = { heads, headDim, dState, dConv, groups, normEps: model.normEps, projectionBias, convBias };
    return modelConfig({ ...model, blocks: repeated(layers, [mamba2Block(metadata.origin(GROUPS), sizes)]) });
  },
  metadata(config) {
    const { heads, headDim, dState, dConv, groups = 1 } = mamba2Of(config);
    return [
      ...recurrentEntries('mamba2', config),
      ...mambaEntries('mamba2', { dInner: heads * headDim, dState, dConv, dtRank: heads }),
      [GROUPS, uint32(groups)],
      ['mamba2.attention.layer_norm_rms_epsilon', float32(config.normEps)],
    ];
  },
  tensors(config) {
    const { groups = 1 } = mamba2Of(config);
    const mamba2 = { norm: 'blk.#.attn_norm.weight', ...prefixed('blk.#.', ggufMixer2(groups)) };
    return byTable({ model: GGUF_MODEL, layers: { mamba2 } }, config);
  },
  llamaCppLimits(config) {
    const block = mamba2Of(config);
    return mambaLimits(config.dModel, { ...block, dInner: innerOf(block) });
  },
};

/** llama.cpp keeps the number of heads as the rank of dt. */
const HEADS = 'mamba2.ssm.time_step_rank';
const GROUPS = 'mamba2.ssm.group_count';

export const mamba2: Family = {
  name: 'mamba2',
  folder: {
    identity: { modelType: 'mamba2', architectures: ['Mamba2ForCausalLM', 'Mamba2Model'] },
    refusal: (config) => refusal(config) ?? expandRefusal(innerOf(mamba2Of(config)), config.dModel),
    config: readMamba2,
    json(config) {
      const block = mamba2Of(config);
      const { heads, headDim, dState, dConv, groups, projectionBias, convBias } = block;
      const limits = limitsJson(block);
      return {
        hidden_size: config.dModel,
        expand: innerOf(block) / config.dModel,
        num_heads: heads,
        head_dim: headDim,
        state_size: dState,
        n_groups: groups,
        conv_kernel: dConv,
        num_hidden_layers: config.blocks.length,
        vocab_size: config.vocabSize,
        layer_norm_epsilon: config.normEps,
        tie_word_embeddings: config.tiedHead,
        use_bias: projectionBias,
        use_conv_bias: convBias,
        hidden_act: 'silu',
        ...(limits && { time_step_limit: limits }),
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'backbone.',
    aliases: { 'backbone.embedding.weight': 'backbone.embeddings.weight' },
    tiedField: 'tie_word_embeddings',
  },
  gguf,
};

/**
 * Reads the config. `norm_before_gate` and `rms_norm`, which some files have, are not looked at, since transformers
 * does not either: Codestral's says that the norm comes first, and it does not.
 */
function readMamba2(fields: Fields): ModelConfig {
  fields.oneOf('hidden_act', ['silu', 'swish'], 'silu');
  const dModel = fields.integer(['hidden_size', 'd_model'], 1, MAX_SIZE);
  const dInner = fields.integer(['intermediate_size', 'd_inner'], 1, MAX_SIZE, expanded(fields, 'expand', dModel));
  const heads = fields.integer(['num_heads'], 1, MAX_SIZE, 128);
  const headDim = fields.integer(['head_dim'], 1, MAX_SIZE, 64);
  if (heads * headDim !== dInner)
    throw damaged(fields.origin('num_heads'), `${heads} heads of ${headDim} channels`, `the inner size ${dInner}`);
  const normEps = fields.number('layer_norm_epsilon', 0, 1, 1e-5);
  const sizes = {
    ...{ heads, headDim },
    dState: fields.integer(['state_size', 'd_state'], 1, MAX_SIZE, 128),
    dConv: fields.integer(['conv_kernel', 'd_conv'], 2, 2 ** 16, 4),
    groups: fields.integer(['n_groups'], 1, MAX_SIZE, 8),
    normEps,
    projectionBias: fields.boolean('use_bias', false),
    convBias: fields.boolean('use_conv_bias', true),
  };
  const block = mamba2Block(fields.origin('n_groups'), sizes, readLimits(fields, 'time_step_limit'));
  return modelConfig({
    dModel,
    vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    blocks: repeated(fields.integer(['num_hidden_layers', 'n_layer'], 1, MAX_LAYERS), [block]),
    normEps,
    tiedHead: fields.boolean('tie_word_embeddings', false),
  });
}

/** The reason why a model is not a list of equal Mamba-2 blocks whose norms have one eps, in words. */
function refusal(config: ModelConfig): string | undefined {
  return beyondRms(config) ?? repeatedRefusal(config, 'mamba2') ?? gateRefusal(mamba2Of(config), config.normEps);
}

/** The first block, which stands for all of them, since `refusal` accepts uniform models alone. */
function mamba2Of({ blocks }: ModelConfig): BlockConfig<'mamba2'> {
  return blocks[0] as BlockConfig<'mamba2'>;
}
