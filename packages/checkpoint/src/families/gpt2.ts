/**
 * GPT-2: transformers' `gpt2`. Each layer is attention and then an MLP, with LayerNorm, learned positions and biases.
 * Its files hold matrices transposed, and q, k and v in one.
 */
import { type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, show } from '../errors.ts';
import type { Family } from './family.ts';
import { repeated } from './shared/layers.ts';
import { layerNormRefusal, plainAttentionRefusal, repeatedRefusal } from './shared/refusals.ts';
import { byTable, prefixed, type SpecialEntry, type TensorTable } from './table.ts';

const part = (index: number, name: 'weight' | 'bias'): SpecialEntry => ({
  name: `attn.c_attn.${name}`,
  share: { index, of: 3 },
  transposed: name === 'weight',
});

const TENSORS: TensorTable = {
  model: {
    embedding: 'transformer.wte.weight',
    positions: 'transformer.wpe.weight',
    finalNorm: 'transformer.ln_f.weight',
    finalNormBias: 'transformer.ln_f.bias',
    head: 'lm_head.weight',
  },
  layers: {
    attention: prefixed('transformer.h.#.', {
      norm: 'ln_1.weight',
      normBias: 'ln_1.bias',
      'block.qProj': part(0, 'weight'),
      'block.qProjBias': part(0, 'bias'),
      'block.kProj': part(1, 'weight'),
      'block.kProjBias': part(1, 'bias'),
      'block.vProj': part(2, 'weight'),
      'block.vProjBias': part(2, 'bias'),
      'block.outProj': { name: 'attn.c_proj.weight', transposed: true },
      'block.outProjBias': 'attn.c_proj.bias',
    }),
    mlp: prefixed('transformer.h.#.', {
      norm: 'ln_2.weight',
      normBias: 'ln_2.bias',
      'block.up': { name: 'mlp.c_fc.weight', transposed: true },
      'block.upBias': 'mlp.c_fc.bias',
      'block.down': { name: 'mlp.c_proj.weight', transposed: true },
      'block.downBias': 'mlp.c_proj.bias',
    }),
  },
  layerOf: (index) => Math.floor(index / 2),
};

/** transformers' names of activations, the first of each being written. */
const ACTIVATIONS = { gelu_new: 'gelu-tanh', gelu_pytorch_tanh: 'gelu-tanh', gelu: 'gelu' } as const;

export const gpt2: Family = {
  name: 'gpt2',
  folder: {
    identity: { modelType: 'gpt2', architectures: ['GPT2LMHeadModel', 'GPT2Model'] },
    refusal(config) {
      const found = layerNormRefusal(config) ?? repeatedRefusal(config, 'attention', 'mlp');
      if (found !== undefined) return found;
      if (config.positions === undefined) return 'has no table of positions';
      if ((config.parallel ?? 1) > 1) return 'has parallel blocks';
      const [attention, mlp] = layerOf(config);
      const { heads, kvHeads = heads, headDim, rope, bias, outBias } = attention;
      if (heads * headDim !== config.dModel || kvHeads !== heads) return 'has heads that are not all of its width';
      if (rope !== undefined) return 'has rotary positions';
      if (!bias || !outBias || !mlp.bias) return 'has projections without biases';
      return (
        plainAttentionRefusal(attention) ??
        (mlp.gated || !(mlp.activation === 'gelu' || mlp.activation === 'gelu-tanh')
          ? 'has an MLP that is not one of GELU'
          : undefined)
      );
    },
    config: readGpt2,
    json(config) {
      const [{ heads }, { dHidden, activation }] = layerOf(config);
      return {
        n_embd: config.dModel,
        n_layer: config.blocks.length / 2,
        n_head: heads,
        n_inner: dHidden,
        n_positions: config.positions,
        vocab_size: config.vocabSize,
        activation_function: activation === 'gelu' ? 'gelu' : 'gelu_new',
        layer_norm_epsilon: config.normEps,
        tie_word_embeddings: config.tiedHead,
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'transformer.',
    buffers: /(^|\.)h\.\d+\.attn\.(bias|masked_bias)$/,
    tiedField: 'tie_word_embeddings',
  },
};

function readGpt2(fields: Fields): ModelConfig {
  const activation = fields.oneOf('activation_function', Object.keys(ACTIVATIONS), 'gelu_new');
  for (const name of ['scale_attn_by_inverse_layer_idx', 'add_cross_attention'])
    if (fields.boolean(name, false)) throw fields.unsupported(name, 'true', 'false');
  if (!fields.boolean('scale_attn_weights', true)) throw fields.unsupported('scale_attn_weights', 'false', 'true');
  const dModel = fields.integer(['n_embd', 'hidden_size'], 1, MAX_SIZE);
  const heads = fields.integer(['n_head', 'num_attention_heads'], 1, 2 ** 16);
  if (dModel % heads !== 0) throw damaged(fields.origin('n_head'), show(heads), `a divisor of ${dModel}, n_embd`);
  const layer: readonly BlockConfig[] = [
    { kind: 'attention', heads, kvHeads: heads, headDim: dModel / heads, bias: true, outBias: true },
    {
      kind: 'mlp',
      dHidden: fields.integer(['n_inner'], 1, MAX_SIZE, Math.min(4 * dModel, MAX_SIZE)),
      activation: ACTIVATIONS[activation as keyof typeof ACTIVATIONS],
      gated: false,
      bias: true,
    },
  ];
  return modelConfig({
    dModel,
    vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    positions: fields.integer(['n_positions', 'max_position_embeddings'], 1, MAX_SIZE),
    norm: 'layer',
    normEps: fields.number('layer_norm_epsilon', 0, 1, 1e-5),
    tiedHead: fields.boolean('tie_word_embeddings', true),
    blocks: repeated(fields.integer(['n_layer', 'num_hidden_layers'], 1, MAX_LAYERS / 2), layer),
  });
}

function layerOf({ blocks }: ModelConfig): [BlockConfig<'attention'>, BlockConfig<'mlp'>] {
  return [blocks[0] as BlockConfig<'attention'>, blocks[1] as BlockConfig<'mlp'>];
}
