/**
 * GPT-NeoX (Pythia): transformers' `gpt_neox`. Attention and an MLP read the same residual, unless a config says that
 * they follow each other. LayerNorm and biases everywhere; q, k and v of each head are neighbours in one tensor.
 */
import { type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, show } from '../errors.ts';
import type { Family } from './family.ts';
import { repeated } from './shared/layers.ts';
import { layerNormRefusal, plainAttentionRefusal, repeatedRefusal } from './shared/refusals.ts';
import { plainRopeRefusal, readRope, ropeJson } from './shared/rope.ts';
import { byTable, type Entry, prefixed, type TensorTable } from './table.ts';

const ROPE = { theta: 'rotary_emb_base', part: 'rotary_pct' } as const;

const layerIndex = (index: number): number => Math.floor(index / 2);

/** q, k or v: of each head the first, second or third of three stretches of rows. */
function ofHeads(index: number, name: 'weight' | 'bias'): Entry {
  return ({ layer, shape }, config) => {
    const [{ heads, headDim }] = blocksOfLayer(config);
    const tensor = `gpt_neox.layers.${layerIndex(layer!)}.attention.query_key_value.${name}`;
    const [rows, ...rest] = shape as [number, ...number[]];
    const whole = [3 * rows, ...rest];
    return {
      parts: Array.from({ length: heads }, (_, head) => ({
        ...{ tensor, shape: whole, first: (3 * head + index) * headDim, count: headDim },
      })),
    };
  };
}

const TENSORS: TensorTable = {
  model: {
    embedding: 'gpt_neox.embed_in.weight',
    finalNorm: 'gpt_neox.final_layer_norm.weight',
    finalNormBias: 'gpt_neox.final_layer_norm.bias',
    head: 'embed_out.weight',
  },
  layers: {
    attention: {
      'block.qProj': ofHeads(0, 'weight'),
      'block.qProjBias': ofHeads(0, 'bias'),
      'block.kProj': ofHeads(1, 'weight'),
      'block.kProjBias': ofHeads(1, 'bias'),
      'block.vProj': ofHeads(2, 'weight'),
      'block.vProjBias': ofHeads(2, 'bias'),
      ...prefixed('gpt_neox.layers.#.', {
        norm: 'input_layernorm.weight',
        normBias: 'input_layernorm.bias',
        'block.outProj': 'attention.dense.weight',
        'block.outProjBias': 'attention.dense.bias',
      }),
    },
    mlp: prefixed('gpt_neox.layers.#.', {
      norm: 'post_attention_layernorm.weight',
      normBias: 'post_attention_layernorm.bias',
      'block.up': 'mlp.dense_h_to_4h.weight',
      'block.upBias': 'mlp.dense_h_to_4h.bias',
      'block.down': 'mlp.dense_4h_to_h.weight',
      'block.downBias': 'mlp.dense_4h_to_h.bias',
    }),
  },
  layerOf: layerIndex,
};

/** transformers' names of activations, the first of each being written. */
const ACTIVATIONS = {
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
} as const;

export const gptNeox: Family = {
  name: 'gpt-neox',
  folder: {
    identity: { modelType: 'gpt_neox', architectures: ['GPTNeoXForCausalLM', 'GPTNeoXModel'] },
    refusal(config) {
      const found = layerNormRefusal(config) ?? repeatedRefusal(config, 'attention', 'mlp');
      if (found !== undefined) return found;
      if (config.positions !== undefined) return 'has a table of positions';
      if ((config.parallel ?? 1) > 2) return `has groups of ${config.parallel} parallel blocks`;
      const [attention, mlp] = blocksOfLayer(config);
      const { heads, kvHeads = heads, headDim, bias, outBias } = attention;
      if (heads * headDim !== config.dModel || kvHeads !== heads) return 'has heads that are not all of its width';
      if (bias !== outBias) return 'has biases of some projections of attention alone';
      if (mlp.gated || !mlp.bias || !(mlp.activation === 'gelu' || mlp.activation === 'gelu-tanh'))
        return 'has an MLP that is not one of GELU with biases';
      return plainAttentionRefusal(attention) ?? plainRopeRefusal(attention, ROPE);
    },
    config: readGptNeox,
    json(config) {
      const [attention, { dHidden, activation }] = blocksOfLayer(config);
      return {
        hidden_size: config.dModel,
        intermediate_size: dHidden,
        num_hidden_layers: config.blocks.length / 2,
        num_attention_heads: attention.heads,
        vocab_size: config.vocabSize,
        hidden_act: activation === 'gelu' ? 'gelu' : 'gelu_new',
        layer_norm_eps: config.normEps,
        attention_bias: attention.bias,
        use_parallel_residual: config.parallel === 2,
        ...ropeJson(attention, ROPE),
        tie_word_embeddings: config.tiedHead,
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'gpt_neox.',
    aliases: { 'lm_head.weight': 'embed_out.weight' },
    buffers: /(^|\.)layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
    tiedField: 'tie_word_embeddings',
  },
};

function readGptNeox(fields: Fields): ModelConfig {
  const activation = fields.oneOf('hidden_act', Object.keys(ACTIVATIONS), 'gelu');
  const dModel = fields.integer(['hidden_size'], 1, MAX_SIZE);
  const heads = fields.integer(['num_attention_heads'], 1, 2 ** 16);
  if (dModel % heads !== 0)
    throw damaged(fields.origin('num_attention_heads'), show(heads), `a divisor of ${dModel}, hidden_size`);
  const headDim = dModel / heads;
  const bias = fields.boolean('attention_bias', true);
  const layer: readonly BlockConfig[] = [
    {
      ...{ kind: 'attention', heads, kvHeads: heads, headDim, bias, outBias: bias },
      ...readRope(fields, headDim, ROPE, 0.25),
    },
    {
      kind: 'mlp',
      dHidden: fields.integer(['intermediate_size'], 1, MAX_SIZE),
      activation: ACTIVATIONS[activation as keyof typeof ACTIVATIONS],
      gated: false,
      bias: true,
    },
  ];
  return modelConfig({
    dModel,
    vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    norm: 'layer',
    normEps: fields.number('layer_norm_eps', 0, 1, 1e-5),
    tiedHead: fields.boolean('tie_word_embeddings', false),
    ...(fields.boolean('use_parallel_residual', true) && { parallel: 2 }),
    blocks: repeated(fields.integer(['num_hidden_layers'], 1, MAX_LAYERS / 2), layer),
  });
}

function blocksOfLayer({ blocks }: ModelConfig): [BlockConfig<'attention'>, BlockConfig<'mlp'>] {
  return [blocks[0] as BlockConfig<'attention'>, blocks[1] as BlockConfig<'mlp'>];
}
