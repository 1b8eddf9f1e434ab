/** Llama, GPT-2 and GPT-NeoX: their configs, the tensors of their parameters, and reading and writing their formats. */
import { blocksOf, type ModelConfig, modelConfig } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  memorySink,
  modelConfigJson,
  openCheckpoint,
  parseConfig,
  writeGguf,
  writeSafetensorsModel,
} from '../src/index.ts';
import { expectSameBits, expectSameParameters, ggufStore, parameterFloats } from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

const FAMILIES = ['llama', 'gpt2', 'gpt-neox'] as const;
const open = (family: string) => openCheckpoint(`${FIXTURES}/${family}-gradients`);

const LLAMA = {
  ...{ model_type: 'llama', hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, vocab_size: 10 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 8192, rope_theta: 10000 },
};
const GPT2 = { model_type: 'gpt2', n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16, vocab_size: 10 };
const NEOX = {
  ...{ model_type: 'gpt_neox', hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, vocab_size: 10 },
  ...{ num_attention_heads: 2 },
};

const attentionOf = (json: object) => blocksOf(parseConfig(json), 'attention')[0]!.block;

/** Writes a model as its family, and opens it again. */
async function rewritten({ config, source, specialTokens, family }: Checkpoint): Promise<Checkpoint> {
  const sink = memorySink();
  await writeSafetensorsModel({ config, source, family, type: 'F32', sink });
  const json = JSON.stringify(modelConfigJson(config, specialTokens));
  return openCheckpoint(memoryStore({ 'config.json': json, 'model.safetensors': sink.bytes() }));
}

describe('families with attention', () => {
  it.each(FAMILIES)('%s is written as it was read', async (name) => {
    const checkpoint = await open(name);
    expect(checkpoint.family).toBe(name);
    const again = await rewritten(checkpoint);
    expect(again.family).toBe(name);
    expect(again.config).toEqual(checkpoint.config);
    await expectSameParameters(again, checkpoint);
    // Every tensor is there, in its own shape.
    for (const [tensor, { shape }] of checkpoint.tensors.tensors)
      expect(again.tensors.tensors.get(tensor)!.shape).toEqual(shape);
    await checkpoint.close();
  });

  it('Llama is the same again by way of GGUF, whose rows of q and k are in the order of pairs', async () => {
    const checkpoint = await open('llama');
    const { config, source, specialTokens } = checkpoint;
    const sink = memorySink();
    const { llamaCppLimits } = await writeGguf({ config, source, specialTokens, type: 'F32', sink });
    expect(llamaCppLimits).toEqual([]);
    const again = await openCheckpoint(ggufStore(sink.bytes()));
    expect(again.family).toBe('llama');
    expect(again.config).toEqual(config);
    await expectSameParameters(again, checkpoint);
    // A head of 8 rows: 0, 4, 1, 5, 2, 6, 3, 7.
    const [whole, stored] = [await parameterFloats(checkpoint), await again.tensors.read('blk.1.attn_k.weight')];
    const k = whole.get('layers.2.block.kProj')!;
    const row = (values: Float32Array, index: number): Float32Array => values.slice(index * 32, (index + 1) * 32);
    for (const [at, from] of [0, 4, 1, 5, 2, 6, 3, 7, 8, 12].entries())
      expectSameBits(row(stored.data as Float32Array, at), row(k, from), `row ${at}`);
  });

  it('GPT-2 has transposed matrices, and q, k and v in one', async () => {
    const checkpoint = await open('gpt2');
    const parameters = await parameterFloats(checkpoint);
    const fused = (await checkpoint.tensors.read('transformer.h.1.attn.c_attn.weight')).data;
    const v = parameters.get('layers.2.block.vProj')!;
    for (const [output, input] of [
      [0, 0],
      [5, 31],
      [31, 7],
    ] as const)
      expect(v[output * 32 + input]).toBe(fused[input * 96 + 64 + output]);
    expect(checkpoint.tensorsOf({ key: 'block.kProj', layer: 2 })).toEqual(['transformer.h.1.attn.c_attn.weight']);
    expect(checkpoint.config).toMatchObject({ norm: 'layer', positions: 128, tiedHead: false });
    await checkpoint.close();
  });

  it('GPT-NeoX has q, k and v of each head beside each other, and parallel blocks', async () => {
    const checkpoint = await open('gpt-neox');
    const parameters = await parameterFloats(checkpoint);
    const fused = (await checkpoint.tensors.read('gpt_neox.layers.0.attention.query_key_value.weight')).data;
    const k = parameters.get('layers.0.block.kProj')!;
    // Head 2 of 4, each of 3 · 8 rows.
    expectSameBits(k.slice(16 * 32, 24 * 32), fused.slice((2 * 24 + 8) * 32, (2 * 24 + 16) * 32) as Float32Array, 'k');
    expect(checkpoint.config.parallel).toBe(2);
    expect(parseConfig({ ...NEOX, use_parallel_residual: false }).parallel).toBeUndefined();
    await checkpoint.close();
  });

  it('may hold masks and frequencies beside the parameters, and no base', async () => {
    const checkpoint = await open('gpt2');
    const { config, source, specialTokens } = checkpoint;
    const sink = memorySink();
    await writeSafetensorsModel({ config, source, type: 'F32', sink });
    const bytes = sink.bytes();
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    const size = bytes.length - 8 - length;
    const renamed = Object.fromEntries(
      Object.entries(header).map(([name, info]) => [name.replace(/^transformer\./, ''), info]),
    );
    renamed['h.0.attn.bias'] = { dtype: 'U8', shape: [1, 1, 2, 2], data_offsets: [size, size + 4] };
    const json = new TextEncoder().encode(JSON.stringify(renamed).padEnd(length + 512));
    const file = new Uint8Array(8 + json.length + size + 4);
    new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
    file.set(json, 8);
    file.set(bytes.subarray(8 + length), 8 + json.length);
    const text = JSON.stringify(modelConfigJson(config, specialTokens));
    const again = await openCheckpoint(memoryStore({ 'config.json': text, 'model.safetensors': file }));
    await expectSameParameters(again, checkpoint);
    await checkpoint.close();
  });
});

describe('rotary positions', () => {
  const scaled = (scaling: object) => attentionOf({ ...LLAMA, rope_scaling: scaling });
  const plain = Array.from({ length: 8 }, (_, pair) => 10000 ** (-pair / 8));

  it('are of a part of each head in GPT-NeoX, and of the whole in Llama', () => {
    expect(attentionOf(NEOX).rope).toEqual({ theta: 10000, rotaryDim: 4 });
    expect(attentionOf({ ...NEOX, rotary_pct: 1, rotary_emb_base: 500 }).rope).toEqual({ theta: 500 });
    expect(attentionOf(LLAMA).rope).toEqual({ theta: 10000 });
    expect(attentionOf({ ...LLAMA, rope_parameters: { rope_type: 'default', rope_theta: 7 } }).rope).toEqual({
      theta: 7,
    });
  });

  it('may be stretched linearly', () => {
    const { rope } = scaled({ type: 'linear', factor: 4 });
    expect(rope!.frequencies).toEqual(plain.map((frequency) => frequency / 4));
  });

  it("may be stretched as Llama 3's: slow ones alone", () => {
    const given = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 256 };
    const { frequencies } = scaled({ rope_type: 'llama3', ...given }).rope!;
    // 256 tokens are 40.7, 12.9, 4.07, 1.29, 0.41, … turns.
    for (const pair of [0, 1, 2]) expect(frequencies![pair]).toBe(plain[pair]);
    for (const pair of [4, 5, 6, 7]) expect(frequencies![pair]).toBeCloseTo(plain[pair]! / 8, 12);
    const share = ((256 * plain[3]!) / (2 * Math.PI) - 1) / 3;
    expect(frequencies![3]).toBeCloseTo(plain[3]! * (share + (1 - share) / 8), 12);
  });

  it('may be stretched as YaRN has it, with another scale of attention', () => {
    const block = scaled({ rope_type: 'yarn', factor: 4, original_max_position_embeddings: 2048 });
    // 2048 tokens are 32 turns of pair 2.01 and one of pair 5.03: rounded outwards, pairs 2 and 6.
    const shares = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1];
    for (const [pair, share] of shares.entries())
      expect(block.rope!.frequencies![pair]).toBeCloseTo(plain[pair]! * (1 - share + share / 4), 12);
    expect(block.scale).toBeCloseTo(16 ** -0.5 * (0.1 * Math.log(4) + 1) ** 2, 12);
    expect(scaled({ rope_type: 'yarn', factor: 4, attention_factor: 1 }).scale).toBeUndefined();
  });

  it.each([
    [{ rope_type: 'dynamic', factor: 2 }, 'unsupported', 'dynamic'],
    [{ rope_type: 'longrope', factor: 2 }, 'unsupported', 'longrope'],
    [{ rope_type: 'linear' }, 'invalid-file', 'factor'],
    [{ rope_type: 'llama3', factor: 2, low_freq_factor: 4, high_freq_factor: 4 }, 'invalid-file', 'high_freq_factor'],
  ])('are refused otherwise: %j', (scaling, code, words) => {
    expect(() => scaled(scaling)).toThrowError(expect.objectContaining({ code }));
    expect(() => scaled(scaling)).toThrow(words);
  });
});

describe('configs that another model would need', () => {
  it.each([
    [{ ...LLAMA, hidden_act: 'relu' }, 'unsupported', 'hidden_act'],
    [{ ...LLAMA, num_key_value_heads: 3 }, 'invalid-file', 'num_key_value_heads'],
    [{ ...GPT2, add_cross_attention: true }, 'unsupported', 'add_cross_attention'],
    [{ ...GPT2, scale_attn_by_inverse_layer_idx: true }, 'unsupported', 'scale_attn_by_inverse_layer_idx'],
    [{ ...GPT2, activation_function: 'relu' }, 'unsupported', 'activation_function'],
    [{ ...GPT2, n_head: 3 }, 'invalid-file', 'n_head'],
    [{ ...NEOX, rotary_pct: 0.2 }, 'invalid-file', 'rotary_pct'],
  ])('is refused by name: %j', (json, code, field) => {
    expect(() => parseConfig(json)).toThrowError(expect.objectContaining({ code, origin: `config.json: ${field}` }));
  });

  it('is not written: what a family cannot express', async () => {
    const checkpoint = await open('llama');
    const change = (more: object): ModelConfig =>
      modelConfig({
        ...checkpoint.config,
        blocks: checkpoint.config.blocks.map((block) => (block.kind === 'attention' ? { ...block, ...more } : block)),
      });
    for (const [more, reason] of [
      [{ window: 4 }, 'llama: the model has attention with a window'],
      [{ softcap: 4 }, 'llama: the model has attention with a softcap'],
      [{ qkNormEps: 1e-5 }, 'llama: the model has attention with norms of q and k'],
      [{ scale: 1 }, 'llama: the model has attention with the scale 1'],
      [{ rope: undefined }, 'llama: the model has attention without rotary positions'],
      [{ rope: { theta: 10000, interleaved: true } }, 'rotary positions of neighbouring channels'],
      [{ rope: { frequencies: [1, 1, 1, 1] } }, 'rotary frequencies of its own'],
      [{ rope: { rotaryDim: 4 } }, 'rotary positions of a part of each head'],
      [{ outBias: true }, 'biases of some projections'],
    ] as const) {
      const { source } = checkpoint;
      const writing = writeSafetensorsModel({ config: change(more), source, type: 'F32', sink: memorySink() });
      await expectError(writing, 'unsupported', reason);
    }
    await checkpoint.close();
  });
});
