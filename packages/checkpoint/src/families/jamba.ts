/**
 * Jamba: layers of a Mamba block, whose norms of dt, B and C have weights, or of attention, each followed by an MLP or
 * experts. Only Mamba blocks and MLPs are implemented, so that models of these alone can be read.
 */
import { type BlockConfig, type MambaConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { beyondRms } from '@mamba/core/toolkit';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import type { Family, GgufFormat, GgufView } from './family.ts';
import { mambaOf } from './mamba.ts';
import { float32, GGUF_MODEL, mambaEntries, mambaLimits, readMamba, readSizes, uint32 } from './shared/gguf.ts';
import { everyNth, type MissingKinds, repeated, unsupportedLayers } from './shared/layers.ts';
import { expanded, GGUF_MIXER, MIXER, readDtRank } from './shared/mamba-block.ts';
import { expandRefusal, repeatedRefusal, swiGluRefusal } from './shared/refusals.ts';
import { byTable, prefixed, type TensorTable } from './table.ts';

const EXPECTED = 'layers of a Mamba block and an MLP alone';

const TENSORS: TensorTable = {
  model: {
    embedding: 'model.embed_tokens.weight',
    finalNorm: 'model.final_layernorm.weight',
    head: 'lm_head.weight',
  },
  layers: {
    mamba: {
      norm: 'model.layers.#.input_layernorm.weight',
      ...prefixed('model.layers.#.mamba.', {
        ...MIXER,
        'block.dtNorm': 'dt_layernorm.weight',
        'block.BNorm': 'b_layernorm.weight',
        'block.CNorm': 'c_layernorm.weight',
      }),
    },
    mlp: {
      norm: 'model.layers.#.pre_ff_layernorm.weight',
      'block.gate': 'model.layers.#.feed_forward.gate_proj.weight',
      'block.up': 'model.layers.#.feed_forward.up_proj.weight',
      'block.down': 'model.layers.#.feed_forward.down_proj.weight',
    },
  },
  layerOf,
};

const GGUF_TENSORS: TensorTable = {
  model: GGUF_MODEL,
  layers: {
    mamba: { norm: 'blk.#.attn_norm.weight', ...prefixed('blk.#.', GGUF_MIXER) },
    mlp: {
      norm: 'blk.#.ffn_norm.weight',
      'block.gate': 'blk.#.ffn_gate.weight',
      'block.up': 'blk.#.ffn_up.weight',
      'block.down': 'blk.#.ffn_down.weight',
    },
  },
  layerOf,
};

const gguf: GgufFormat = {
  architecture: 'jamba',
  refusal,
  config(file) {
    const { metadata } = file;
    const { layers, ...sizes } = readSizes(file, 'jamba');
    const missing = unsupportedLayers(metadata.name, missingKinds(file, layers), EXPECTED);
    if (missing !== undefined) throw missing;
    return jambaModel(sizes, layers, {
      mixer: readMamba(file, 'jamba'),
      dHidden: metadata.integer('jamba.feed_forward_length', 1, MAX_SIZE),
    });
  },
  metadata(config) {
    const layers = config.blocks.length / 2;
    return [
      // The state of Mamba has no maximal length.
      ['jamba.context_length', uint32(2 ** 20)],
      ['jamba.embedding_length', uint32(config.dModel)],
      ['jamba.feed_forward_length', uint32(mlpOf(config).dHidden)],
      // No layer has attention, so this number has no effect; llama.cpp requires it.
      ['jamba.attention.head_count', uint32(1)],
      [HEADS, { type: 'int32[]', value: new Array<number>(layers).fill(0) }],
      ['jamba.block_count', uint32(layers)],
      ['jamba.vocab_size', uint32(config.vocabSize)],
      ...mambaEntries('jamba', mambaOf(config)),
      ['jamba.attention.layer_norm_rms_epsilon', float32(config.normEps)],
    ];
  },
  tensors: (config) => byTable(GGUF_TENSORS, config),
  llamaCppLimits: (config) => [
    // Without attention, the cache of keys and values is empty, and an assertion of ggml ends the process.
    'no layer has attention, without which llama.cpp cannot make a context',
    ...mambaLimits(config.dModel, mambaOf(config)),
  ],
};

/** The number of key and value heads of each layer. It is 0 for a layer of Mamba. */
const HEADS = 'jamba.attention.head_count_kv';

export const jamba: Family = {
  name: 'jamba',
  folder: {
    identity: { modelType: 'jamba', architectures: ['JambaForCausalLM', 'JambaModel'] },
    refusal(config) {
      return refusal(config) ?? expandRefusal(mambaOf(config).dInner, config.dModel);
    },
    config: readJamba,
    json(config) {
      const { dInner, dState, dConv, dtRank, projectionBias, convBias } = mambaOf(config);
      const layers = config.blocks.length / 2;
      return {
        hidden_size: config.dModel,
        intermediate_size: mlpOf(config).dHidden,
        num_hidden_layers: layers,
        vocab_size: config.vocabSize,
        rms_norm_eps: config.normEps,
        tie_word_embeddings: config.tiedHead,
        hidden_act: 'silu',
        mamba_expand: dInner / config.dModel,
        mamba_d_state: dState,
        mamba_d_conv: dConv,
        mamba_dt_rank: dtRank,
        mamba_proj_bias: projectionBias,
        mamba_conv_bias: convBias,
        // No layer has attention or experts: the first such layer would come after the last one.
        attn_layer_period: layers + 1,
        attn_layer_offset: layers,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        num_experts: 1,
        num_experts_per_tok: 1,
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'model.',
    tiedField: 'tie_word_embeddings',
  },
  gguf,
};

function readJamba(fields: Fields): ModelConfig {
  fields.oneOf('hidden_act', ['silu', 'swish'], 'silu');
  const layers = fields.integer(['num_hidden_layers'], 1, MAX_LAYERS / 2);
  const period = (name: string, fallback: number): number => fields.integer([name], 1, 2 ** 31, fallback);
  const offset = (name: string, fallback: number): number => fields.integer([name], 0, 2 ** 31, fallback);
  const attention = everyNth(layers, period('attn_layer_period', 8), offset('attn_layer_offset', 4));
  const experts =
    fields.integer(['num_experts'], 1, MAX_SIZE, 16) === 1
      ? []
      : everyNth(layers, period('expert_layer_period', 2), offset('expert_layer_offset', 1));
  const field = attention.length > 0 ? 'attn_layer_period' : 'num_experts';
  const missing = unsupportedLayers(fields.origin(field), { attention, experts }, EXPECTED);
  if (missing !== undefined) throw missing;
  const dModel = fields.integer(['hidden_size'], 1, MAX_SIZE);
  const sizes = {
    dModel,
    vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    normEps: fields.number('rms_norm_eps', 0, 1, 1e-6),
    tiedHead: fields.boolean('tie_word_embeddings', false),
  };
  return jambaModel(sizes, layers, {
    mixer: {
      dInner: expanded(fields, 'mamba_expand', dModel),
      dState: fields.integer(['mamba_d_state'], 1, MAX_SIZE, 16),
      dConv: fields.integer(['mamba_d_conv'], 2, 2 ** 16, 4),
      dtRank: readDtRank(fields, 'mamba_dt_rank', dModel),
      projectionBias: fields.boolean('mamba_proj_bias', false),
      convBias: fields.boolean('mamba_conv_bias', true),
    },
    dHidden: fields.integer(['intermediate_size'], 1, MAX_SIZE),
  });
}

function jambaModel(
  sizes: Pick<ModelConfig, 'dModel' | 'vocabSize' | 'normEps' | 'tiedHead'>,
  layers: number,
  { mixer, dHidden }: { readonly mixer: MambaConfig; readonly dHidden: number },
): ModelConfig {
  const layer: readonly BlockConfig[] = [
    { kind: 'mamba', ...mixer, mixerNormEps: sizes.normEps, mixerNormWeights: true },
    { kind: 'mlp', dHidden, activation: 'silu' },
  ];
  return modelConfig({ ...sizes, blocks: repeated(layers, layer) });
}

function missingKinds({ metadata, tensors }: GgufView, layers: number): MissingKinds {
  const all = Array.from({ length: layers }, (_, layer) => layer);
  const heads = metadata.values.get(HEADS);
  return {
    attention: all.filter((layer) => ((Array.isArray(heads) ? heads[layer] : heads) ?? 0) !== 0),
    experts: all.filter((layer) => tensors.has(`blk.${layer}.ffn_gate_inp.weight`)),
  };
}

function refusal(config: ModelConfig): string | undefined {
  const found = beyondRms(config) ?? repeatedRefusal(config, 'mamba', 'mlp');
  if (found !== undefined) return found;
  const { mixerNormEps, mixerNormWeights } = mambaOf(config);
  if (!mixerNormWeights || mixerNormEps !== config.normEps)
    return 'has no norms of dt, B and C with weights and the eps of its layers';
  return swiGluRefusal(mlpOf(config));
}

function mlpOf({ blocks }: ModelConfig): BlockConfig<'mlp'> {
  return blocks[1] as BlockConfig<'mlp'>;
}

function layerOf(index: number): number {
  return Math.floor(index / 2);
}
