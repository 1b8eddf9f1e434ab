import { type BlockConfig, MambaError, type ModelConfig } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../src/index.ts';

const sizes = { model_type: 'mamba', hidden_size: 768, num_hidden_layers: 24, vocab_size: 50280 };

function thrown(json: unknown): MambaError {
  try {
    parseConfig(json);
  } catch (error) {
    if (error instanceof MambaError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The block of every layer, where all layers are equal. */
function block({ blocks }: ModelConfig): BlockConfig {
  for (const other of blocks) expect(other).toEqual(blocks[0]);
  return blocks[0]!;
}

describe('configs', () => {
  it('fills in what transformers would', () => {
    const mamba = {
      kind: 'mamba',
      dInner: 1536,
      dState: 16,
      dConv: 4,
      dtRank: 48,
      projectionBias: false,
      convBias: true,
    };
    expect(parseConfig(sizes)).toEqual({
      dModel: 768,
      vocabSize: 50280,
      normEps: 1e-5,
      tiedHead: true,
      blocks: new Array(24).fill(mamba),
    });
    expect(block(parseConfig({ ...sizes, time_step_rank: 'auto', hidden_size: 770 }))).toMatchObject({ dtRank: 49 });
    expect(parseConfig({ ...sizes, tie_word_embeddings: false }).tiedHead).toBe(false);
  });

  it('takes intermediate_size over expand, as falcon-mamba-7b needs', () => {
    const config = parseConfig({
      ...sizes,
      model_type: 'falcon_mamba',
      architectures: ['FalconMambaForCausalLM'],
      hidden_size: 4096,
      expand: 16,
      intermediate_size: 8192,
      num_hidden_layers: 64,
      vocab_size: 65024,
    });
    expect(block(config)).toMatchObject({ dInner: 8192, mixerNormEps: 1e-6 });
    expect(config.blocks).toHaveLength(64);
  });

  it('reads the original layout, and rounds its vocabulary up', () => {
    const original = {
      d_model: 768,
      n_layer: 24,
      vocab_size: 50277,
      ssm_cfg: {},
      rms_norm: true,
      residual_in_fp32: true,
    };
    const config = parseConfig(original);
    expect(config).toMatchObject({ vocabSize: 50280, tiedHead: true });
    expect(config.blocks).toHaveLength(24);
    expect(block(config)).toMatchObject({ dInner: 1536, dtRank: 48 });
    const other = {
      ...original,
      pad_vocab_size_multiple: 1,
      ssm_cfg: { d_state: 8, dt_rank: 5, expand: 3, bias: true },
    };
    expect(parseConfig(other).vocabSize).toBe(50277);
    expect(block(parseConfig(other))).toMatchObject({ dState: 8, dtRank: 5, dInner: 2304, projectionBias: true });
  });

  it('reads both names of a size where they agree, as the converted checkpoints have them', () => {
    expect(parseConfig({ ...sizes, d_model: 768, n_layer: 24, d_inner: 1536, ssm_cfg: {} }).blocks).toHaveLength(24);
    expect(thrown({ ...sizes, n_layer: 25 })).toMatchObject({ code: 'invalid-file', origin: 'config.json: n_layer' });
  });

  it.each([
    ['not an object', [], 'invalid-file', 'config.json'],
    ['no model_type', { hidden_size: 8 }, 'invalid-file', 'config.json: model_type'],
    ['another model', { model_type: 'mistral' }, 'unsupported', 'config.json: model_type'],
    ['a missing size', { ...sizes, hidden_size: undefined }, 'invalid-file', 'config.json: hidden_size'],
    ['no layers', { ...sizes, num_hidden_layers: 0 }, 'invalid-file', 'config.json: num_hidden_layers'],
    ['absurd layers', { ...sizes, num_hidden_layers: 1e9 }, 'invalid-file', 'config.json: num_hidden_layers'],
    ['a size in words', { ...sizes, vocab_size: '50280' }, 'invalid-file', 'config.json: vocab_size'],
    ['a fraction', { ...sizes, state_size: 1.5 }, 'invalid-file', 'config.json: state_size'],
    ['a convolution of 1', { ...sizes, conv_kernel: 1 }, 'invalid-file', 'config.json: conv_kernel'],
    ['an absurd expansion', { ...sizes, expand: 65536 }, 'invalid-file', 'config.json: expand'],
    ['an epsilon in words', { ...sizes, layer_norm_epsilon: 'x' }, 'invalid-file', 'config.json: layer_norm_epsilon'],
    ['a bias in numbers', { ...sizes, use_bias: 1 }, 'invalid-file', 'config.json: use_bias'],
    ['another activation', { ...sizes, hidden_act: 'gelu' }, 'unsupported', 'config.json: hidden_act'],
    ['quantised weights', { ...sizes, quantization_config: {} }, 'unsupported', 'config.json: quantization_config'],
    ["falcon's norm in mamba", { ...sizes, mixer_rms_eps: 1e-6 }, 'invalid-file', 'config.json: mixer_rms_eps'],
    [
      'an architecture of another model',
      { ...sizes, architectures: ['FalconMambaForCausalLM'] },
      'invalid-file',
      'config.json: architectures',
    ],
    [
      'Mamba-3',
      { d_model: 8, n_layer: 1, vocab_size: 8, ssm_cfg: { layer: 'Mamba3' } },
      'unsupported',
      'config.json: ssm_cfg: layer',
    ],
    [
      'an absurd MLP',
      { d_model: 8, n_layer: 1, vocab_size: 8, d_intermediate: 2 ** 24 },
      'invalid-file',
      'config.json: d_intermediate',
    ],
    [
      'an MLP that releases compute in two ways',
      { d_model: 8, n_layer: 1, vocab_size: 8, d_intermediate: 4, fused_add_norm: false },
      'unsupported',
      'config.json: fused_add_norm',
    ],
    [
      'attention',
      { d_model: 8, n_layer: 1, vocab_size: 8, attn_layer_idx: [1] },
      'unsupported',
      'config.json: attn_layer_idx',
    ],
    ['LayerNorm', { d_model: 8, n_layer: 1, vocab_size: 8, rms_norm: false }, 'unsupported', 'config.json: rms_norm'],
  ])('refuses %s, naming the field', (_, json, code, origin) => {
    expect(thrown(json)).toMatchObject({ code, origin });
  });

  it('names the unsupported type, and what is supported', () => {
    expect(thrown({ model_type: 'mistral' }).message).toMatch(/"mistral".*"mamba".*"falcon_mamba"/);
  });
});
