/** Llama: transformers' `llama`, and llama.cpp's architecture `llama`. Each layer is attention and then SwiGLU. */
import { type AttentionConfig, type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { beyondRms, isGated } from '@mamba/core/toolkit';
import { type Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, quote, show, unsupported } from '../errors.ts';
import type { Family, GgufFormat, Stored } from './family.ts';
import { float32, GGUF_MODEL, readSizes, uint32 } from './shared/gguf.ts';
import { repeated } from './shared/layers.ts';
import { plainAttentionRefusal, repeatedRefusal } from './shared/refusals.ts';
import { plainRopeRefusal, readRope, ropeJson } from './shared/rope.ts';
import { byTable, type Entry, prefixed, type TensorTable } from './table.ts';

const ROPE = { theta: 'rope_theta' } as const;

const layerOf = (index: number): number => Math.floor(index / 2);

const TENSORS: TensorTable = {
  model: { embedding: 'model.embed_tokens.weight', finalNorm: 'model.norm.weight', head: 'lm_head.weight' },
  layers: {
    attention: {
      norm: 'model.layers.#.input_layernorm.weight',
      ...prefixed('model.layers.#.self_attn.', {
        'block.qProj': 'q_proj.weight',
        'block.qProjBias': 'q_proj.bias',
        'block.kProj': 'k_proj.weight',
        'block.kProjBias': 'k_proj.bias',
        'block.vProj': 'v_proj.weight',
        'block.vProjBias': 'v_proj.bias',
        'block.outProj': 'o_proj.weight',
        'block.outProjBias': 'o_proj.bias',
      }),
    },
    mlp: {
      norm: 'model.layers.#.post_attention_layernorm.weight',
      ...prefixed('model.layers.#.mlp.', {
        'block.gate': 'gate_proj.weight',
        'block.gateBias': 'gate_proj.bias',
        'block.up': 'up_proj.weight',
        'block.upBias': 'up_proj.bias',
        'block.down': 'down_proj.weight',
        'block.downBias': 'down_proj.bias',
      }),
    },
  },
  layerOf,
};

/** llama.cpp holds the rows of q and k in the order of pairs, and turns neighbours. */
function paired(name: string): Entry {
  return ({ layer, shape }, config): Stored => {
    const { headDim } = attentionOf(config);
    const tensor = `blk.${layerOf(layer!)}.${name}`;
    return { parts: [{ tensor, shape, first: 0, count: shape[0]!, pairs: headDim }] };
  };
}

const GGUF_TENSORS: TensorTable = {
  model: GGUF_MODEL,
  layers: {
    attention: {
      norm: 'blk.#.attn_norm.weight',
      'block.qProj': paired('attn_q.weight'),
      'block.qProjBias': paired('attn_q.bias'),
      'block.kProj': paired('attn_k.weight'),
      'block.kProjBias': paired('attn_k.bias'),
      'block.vProj': 'blk.#.attn_v.weight',
      'block.vProjBias': 'blk.#.attn_v.bias',
      'block.outProj': 'blk.#.attn_output.weight',
      'block.outProjBias': 'blk.#.attn_output.bias',
    },
    mlp: {
      norm: 'blk.#.ffn_norm.weight',
      ...prefixed('blk.#.', {
        'block.gate': 'ffn_gate.weight',
        'block.gateBias': 'ffn_gate.bias',
        'block.up': 'ffn_up.weight',
        'block.upBias': 'ffn_up.bias',
        'block.down': 'ffn_down.weight',
        'block.downBias': 'ffn_down.bias',
      }),
    },
  },
  layerOf,
};

/** The longest context that files state. A model has none of its own; programs take this as a default. */
const CONTEXT = 4096;

const gguf: GgufFormat = {
  architecture: 'llama',
  refusal,
  config(file) {
    const { metadata, tensors } = file;
    const { layers, ...sizes } = readSizes(file, 'llama');
    const size = (name: string, fallback?: number): number => metadata.integer(`llama.${name}`, 1, MAX_SIZE, fallback);
    if (metadata.integer('llama.expert_count', 0, MAX_SIZE, 0) > 0)
      throw unsupported(metadata.origin('llama.expert_count'), 'experts', 'layers of attention and an MLP');
    const scaling = metadata.string('llama.rope.scaling.type', 'none');
    if (scaling !== 'none') throw unsupported(metadata.origin('llama.rope.scaling.type'), quote(scaling), '"none"');
    if (tensors.has('rope_freqs.weight'))
      throw unsupported(
        `${metadata.name}: tensor "rope_freqs.weight"`,
        'factors of rotary frequencies',
        'none; a folder with config.json may have them',
      );
    const heads = size('attention.head_count');
    const headDim = size('attention.key_length', sizes.dModel / heads);
    if (size('attention.value_length', headDim) !== headDim)
      throw unsupported(metadata.origin('llama.attention.value_length'), 'another size than of keys', `${headDim}`);
    const rotaryDim = size('rope.dimension_count', headDim);
    if (rotaryDim !== headDim)
      throw unsupported(metadata.origin('llama.rope.dimension_count'), `${rotaryDim}`, `${headDim}, a whole head`);
    const theta = metadata.values.has('llama.rope.freq_base')
      ? metadata.number('llama.rope.freq_base', 1, 1e30)
      : 10000;
    return llamaModel(sizes, layers, {
      attention: {
        heads,
        kvHeads: size('attention.head_count_kv', heads),
        headDim,
        rope: { theta },
        bias: tensors.has('blk.0.attn_q.bias'),
        outBias: tensors.has('blk.0.attn_output.bias'),
      },
      mlp: { dHidden: size('feed_forward_length'), bias: tensors.has('blk.0.ffn_up.bias') },
    });
  },
  metadata(config) {
    const { heads, kvHeads = heads, headDim, rope } = attentionOf(config);
    return [
      ['llama.context_length', uint32(CONTEXT)],
      ['llama.embedding_length', uint32(config.dModel)],
      ['llama.block_count', uint32(config.blocks.length / 2)],
      ['llama.feed_forward_length', uint32(mlpOf(config).dHidden)],
      ['llama.attention.head_count', uint32(heads)],
      ['llama.attention.head_count_kv', uint32(kvHeads)],
      ['llama.attention.key_length', uint32(headDim)],
      ['llama.attention.value_length', uint32(headDim)],
      ['llama.attention.layer_norm_rms_epsilon', float32(config.normEps)],
      ['llama.rope.dimension_count', uint32(headDim)],
      ['llama.rope.freq_base', float32(rope!.theta ?? 10000)],
      ['llama.vocab_size', uint32(config.vocabSize)],
    ];
  },
  tensors: (config) => byTable(GGUF_TENSORS, config),
  llamaCppLimits: () => [],
};

export const llama: Family = {
  name: 'llama',
  folder: {
    identity: { modelType: 'llama', architectures: ['LlamaForCausalLM', 'LlamaModel'] },
    refusal(config) {
      const found = refusal(config);
      if (found !== undefined) return found;
      const { bias, outBias } = attentionOf(config);
      return bias === outBias ? undefined : 'has biases of some projections of attention alone';
    },
    config: readLlama,
    json(config) {
      const block = attentionOf(config);
      const { heads, kvHeads = heads, headDim, bias } = block;
      return {
        hidden_size: config.dModel,
        intermediate_size: mlpOf(config).dHidden,
        num_hidden_layers: config.blocks.length / 2,
        num_attention_heads: heads,
        num_key_value_heads: kvHeads,
        head_dim: headDim,
        vocab_size: config.vocabSize,
        max_position_embeddings: CONTEXT,
        rms_norm_eps: config.normEps,
        hidden_act: 'silu',
        attention_bias: bias,
        mlp_bias: mlpOf(config).bias,
        ...ropeJson(block, ROPE),
        tie_word_embeddings: config.tiedHead,
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'model.',
    buffers: /\.rotary_emb\.inv_freq$/,
    tiedField: 'tie_word_embeddings',
  },
  gguf,
};

function readLlama(fields: Fields): ModelConfig {
  fields.oneOf('hidden_act', ['silu', 'swish'], 'silu');
  const dModel = fields.integer(['hidden_size'], 1, MAX_SIZE);
  const heads = fields.integer(['num_attention_heads'], 1, 2 ** 16);
  const kvHeads = fields.integer(['num_key_value_heads'], 1, 2 ** 16, heads);
  if (heads % kvHeads !== 0)
    throw damaged(fields.origin('num_key_value_heads'), show(kvHeads), `a divisor of ${heads}, num_attention_heads`);
  const headDim = fields.integer(['head_dim'], 2, 2 ** 16, Math.floor(dModel / heads));
  const bias = fields.boolean('attention_bias', false);
  const sizes = {
    dModel,
    vocabSize: fields.integer(['vocab_size'], 1, MAX_SIZE),
    normEps: fields.number('rms_norm_eps', 0, 1, 1e-6),
    tiedHead: fields.boolean('tie_word_embeddings', false),
  };
  return llamaModel(sizes, fields.integer(['num_hidden_layers'], 1, MAX_LAYERS / 2), {
    attention: { heads, kvHeads, headDim, bias, outBias: bias, ...readRope(fields, headDim, ROPE) },
    mlp: {
      dHidden: fields.integer(['intermediate_size'], 1, MAX_SIZE),
      bias: fields.boolean('mlp_bias', false),
    },
  });
}

function llamaModel(
  sizes: Pick<ModelConfig, 'dModel' | 'vocabSize' | 'normEps' | 'tiedHead'>,
  layers: number,
  { attention, mlp }: { readonly attention: AttentionConfig; readonly mlp: { dHidden: number; bias: boolean } },
): ModelConfig {
  const layer: readonly BlockConfig[] = [
    { kind: 'attention', ...attention },
    { kind: 'mlp', ...mlp, activation: 'silu' },
  ];
  return modelConfig({ ...sizes, blocks: repeated(layers, layer) });
}

function refusal(config: ModelConfig): string | undefined {
  const found = beyondRms(config) ?? repeatedRefusal(config, 'attention', 'mlp');
  if (found !== undefined) return found;
  const [attention, mlp] = [attentionOf(config), mlpOf(config)];
  if (mlp.activation !== 'silu' || !isGated(mlp)) return 'has an MLP that is not gated by SiLU';
  return plainAttentionRefusal(attention) ?? plainRopeRefusal(attention, ROPE);
}

function attentionOf({ blocks }: ModelConfig): BlockConfig<'attention'> {
  return blocks[0] as BlockConfig<'attention'>;
}

function mlpOf({ blocks }: ModelConfig): BlockConfig<'mlp'> {
  return blocks[1] as BlockConfig<'mlp'>;
}
