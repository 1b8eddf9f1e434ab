/** Families of models: their identification, the tensors of their parameters, and reading and writing their formats. */
import { blocksOf, type ModelConfig, modelConfig, modelParameters } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  memorySink,
  modelConfigJson,
  openCheckpoint,
  parameterSource,
  parseConfig,
  parseModel,
  transformersName,
  writeGguf,
  writeSafetensorsModel,
} from '../src/index.ts';
import {
  D_MODEL,
  familyStore,
  JAMBA,
  JAMBA_HIDDEN,
  jambaShapes,
  ORIGINAL,
  ORIGINAL_HIDDEN,
  originalShapes,
  seeded,
} from './family-helpers.ts';
import {
  expectSameBits,
  expectSameParameters,
  floats,
  ggufStore,
  join,
  parameterFloats,
  RawGguf,
  string,
  u32,
  u64,
} from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

const jamba = () => openCheckpoint(familyStore(JAMBA, jambaShapes(), seeded(jambaShapes())));
const original = () => openCheckpoint(familyStore(ORIGINAL, originalShapes(), seeded(originalShapes())));

/** Writes a model as the first family that can express it, and opens it again. */
async function rewritten({ config, source, specialTokens }: Checkpoint): Promise<Checkpoint> {
  const sink = memorySink();
  await writeSafetensorsModel({ config, source, type: 'F32', sink });
  const json = JSON.stringify(modelConfigJson(config, specialTokens));
  return openCheckpoint(memoryStore({ 'config.json': json, 'model.safetensors': sink.bytes() }));
}

async function asGguf({ config, source, specialTokens }: Checkpoint): Promise<Uint8Array> {
  const sink = memorySink();
  await writeGguf({ config, source, specialTokens, type: 'F32', sink });
  return sink.bytes();
}

/** Expects equal parameters, except for A, whose logarithm is rounded when it is stored. */
async function expectNearlySame(a: Checkpoint, b: Checkpoint): Promise<void> {
  const [left, right] = [await parameterFloats(a), await parameterFloats(b)];
  expect([...left.keys()]).toEqual([...right.keys()]);
  for (const [name, values] of left) {
    if (!name.endsWith('.A')) expectSameBits(values, right.get(name)!, name);
    else for (const [at, value] of values.entries()) expect(right.get(name)![at]! / value).toBeCloseTo(1, 6);
  }
}

describe('families', () => {
  it.each([
    ...['bamba', 'falcon_h1', 'granitemoehybrid', 'nemotron_h', 'zamba2', 'lfm2'],
    ...['mistral', 'gptj', 'qwen3_next'],
  ])('are not %s, which is refused by name', async (type) => {
    const opened = openCheckpoint(memoryStore({ 'config.json': JSON.stringify({ model_type: type }) }));
    await expectError(
      opened,
      'unsupported',
      `"${type}"`,
      '"mamba2", "jamba", "llama", "gpt2", "gpt_neox", or the original',
    );
  });

  it('are told by config.json or by the architecture', async () => {
    for (const [folder, family] of [
      ['mamba-tiny', 'mamba'],
      ['falcon-mamba-tiny', 'falcon-mamba'],
    ] as const) {
      const checkpoint = await openCheckpoint(`${FIXTURES}/${folder}`);
      expect(checkpoint.family).toBe(family);
      const again = await openCheckpoint(ggufStore(await asGguf(checkpoint)));
      expect(again.family).toBe(family);
      await checkpoint.close();
    }
    expect(parseModel(ORIGINAL)).toEqual({ family: 'mamba-original', config: parseConfig(ORIGINAL) });
  });

  it('may be chosen for writing, where they can hold the model', async () => {
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    expect(modelConfigJson(config, { bos: 1, eos: [2, 3] }, 'mamba-original')).toMatchObject({
      ...{ d_model: config.dModel, n_layer: 3, bos_token_id: 1, eos_token_id: [2, 3] },
    });
    const sink = memorySink();
    await writeSafetensorsModel({ config, source, family: 'mamba-original', type: 'F32', sink });
    const json = JSON.stringify(modelConfigJson(config, { bos: 1, eos: [2] }, 'mamba-original'));
    const files = memoryStore({ 'config.json': json, 'model.safetensors': sink.bytes() });
    const again = await openCheckpoint(files);
    expect(again.tensors.tensors.has('backbone.embedding.weight')).toBe(true);
    expect(again.family).toBe('mamba-original');
    expect(again.config).toEqual(config);
    await close();

    const named = (family: string) =>
      writeSafetensorsModel({ config, source, family, type: 'F32', sink: memorySink() });
    await expectError(named('falcon-mamba'), 'unsupported', 'falcon-mamba: the model has no norms of dt, B and C');
    await expectError(named('mistral'), 'invalid-argument', 'got mistral', 'falcon-mamba');
    const gguf = writeGguf({ config, source, family: 'mamba-original', type: 'F32', sink: memorySink() });
    await expectError(gguf, 'unsupported', 'mamba-original has no files of this format');
  });

  const refusals: readonly [string, (config: ModelConfig) => Partial<ModelConfig>, string][] = [
    ['LayerNorm', () => ({ norm: 'layer' }), 'has LayerNorm'],
    ['multipliers', () => ({ multipliers: { logits: 2 } }), 'has multipliers'],
    ['a table of positions', () => ({ positions: 4 }), 'has a table of positions'],
    ['one MLP at the end', ({ blocks }) => ({ blocks: [...blocks, mlp] }), 'has a block of kind mlp'],
    ['an MLP first', ({ blocks }) => ({ blocks: [mlp, blocks[0]!] }), 'has a block of kind mlp'],
    ['a half layer', ({ blocks }) => ({ blocks: [blocks[0]!, mlp, blocks[0]!] }), 'no whole number of layers'],
    [
      'unequal layers',
      (config) => ({ blocks: blocksOf(config, 'mamba').map(({ layer, block }) => ({ ...block, dState: layer + 1 })) }),
      'layers of unequal sizes',
    ],
    ['a narrow MLP', ({ blocks }) => ({ blocks: [blocks[0]!, mlp] }), 'an MLP of width 96, no multiple of 128'],
  ];
  const mlp = { kind: 'mlp', dHidden: 96, activation: 'silu' } as const;
  it.each(refusals)('say why none holds a model with %s', async (_, change, reason) => {
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    const changed = modelConfig({ ...config, ...change(config) });
    const sink = () => memorySink();
    const folder = writeSafetensorsModel({ config: changed, source, type: 'F32', sink: sink() });
    await expectError(folder, 'unsupported', 'writeSafetensorsModel.config', reason, 'falcon-mamba');
    const gguf = writeGguf({ config: changed, source, type: 'F32', sink: sink() });
    await expectError(gguf, 'unsupported', 'writeGguf.config', 'jamba: the model');
    await close();
  });

  it('give names for messages', async () => {
    expect(transformersName({ key: 'head', layer: undefined })).toBe('lm_head.weight');
    expect(transformersName({ key: 'block.inProjBias', layer: 2 })).toBe('backbone.layers.2.mixer.in_proj.bias');
    const config = parseConfig(JAMBA);
    expect(transformersName({ key: 'block.BNorm', layer: 4 }, config)).toBe('model.layers.2.mamba.b_layernorm.weight');
    expect(transformersName({ key: 'norm', layer: 5 }, config)).toBe('model.layers.2.pre_ff_layernorm.weight');
    const strange = modelConfig({ ...config, norm: 'layer' });
    expect(transformersName({ key: 'normBias', layer: 5 }, strange)).toBe('layers.5.normBias');
  });
});

describe('Jamba', () => {
  it('is a Mamba block and an MLP in each layer', async () => {
    const { config, family, specialTokens } = await jamba();
    expect(family).toBe('jamba');
    expect(specialTokens.eos).toEqual([9]);
    const mixer = { dInner: 16, dState: 4, dConv: 4, dtRank: 3, mixerNormEps: 1e-5, mixerNormWeights: true };
    expect(config).toMatchObject({ dModel: D_MODEL, vocabSize: 10, normEps: 1e-5, tiedHead: false });
    expect(config.blocks.map(({ kind }) => kind)).toEqual(['mamba', 'mlp', 'mamba', 'mlp', 'mamba', 'mlp']);
    expect(config.blocks[2]).toMatchObject({ ...mixer, projectionBias: false, convBias: true });
    expect(config.blocks[3]).toMatchObject({ dHidden: JAMBA_HIDDEN, activation: 'silu' });
  });

  it('has each parameter in a tensor of its own', async () => {
    const checkpoint = await jamba();
    const values = seeded(jambaShapes());
    const parameters = await parameterFloats(checkpoint);
    expect(parameters.size).toBe(values.size);
    for (const [parameter, tensor] of [
      ['layers.2.norm', 'model.layers.1.input_layernorm.weight'],
      ['layers.2.block.dtNorm', 'model.layers.1.mamba.dt_layernorm.weight'],
      ['layers.2.block.BNorm', 'model.layers.1.mamba.b_layernorm.weight'],
      ['layers.2.block.CNorm', 'model.layers.1.mamba.c_layernorm.weight'],
      ['layers.2.block.conv', 'model.layers.1.mamba.conv1d.weight'],
      ['layers.3.norm', 'model.layers.1.pre_ff_layernorm.weight'],
      ['layers.3.block.gate', 'model.layers.1.feed_forward.gate_proj.weight'],
      ['layers.5.block.up', 'model.layers.2.feed_forward.up_proj.weight'],
      ['layers.5.block.down', 'model.layers.2.feed_forward.down_proj.weight'],
      ['finalNorm', 'model.final_layernorm.weight'],
      ['head', 'lm_head.weight'],
    ] as const)
      expectSameBits(parameters.get(parameter)!, values.get(tensor)!, parameter);
    expect(checkpoint.storedType({ key: 'block.gate', layer: 3 })).toBe('F32');
  });

  it('is found without its base, and within another model', async () => {
    const plain = await jamba();
    for (const rename of [
      (name: string) => name.replace(/^model\./, ''),
      (name: string) => `actor.${name}`,
      (name: string) => `_orig_mod.${name}`,
    ]) {
      const shapes = jambaShapes();
      const values = new Map([...seeded(shapes)].map(([name, data]) => [rename(name), data]));
      const renamed = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [rename(name), shape]));
      await expectSameParameters(await openCheckpoint(familyStore(JAMBA, renamed, values)), plain);
    }
  });

  it('is written as files and as GGUF, and is the same again', async () => {
    const checkpoint = await jamba();
    const folder = await rewritten(checkpoint);
    const gguf = await openCheckpoint(ggufStore(await asGguf(checkpoint)));
    for (const again of [folder, gguf]) {
      expect(again.family).toBe('jamba');
      expect(again.config).toEqual(checkpoint.config);
      expect(again.specialTokens).toEqual(checkpoint.specialTokens);
      await expectNearlySame(again, checkpoint);
    }
    expect([...gguf.tensors.tensors.keys()]).toContain('blk.2.ffn_gate.weight');
    expect(gguf.gguf!.metadata.get('jamba.attention.head_count_kv')).toEqual([0, 0, 0]);
  });

  it('says what llama.cpp cannot load', async () => {
    const { config, source } = await jamba();
    const { llamaCppLimits: plain } = await writeGguf({ config, source, type: 'Q8_0', sink: memorySink() });
    expect(plain).toEqual(['no layer has attention, without which llama.cpp cannot make a context']);
    const bigintAsText = parseConfig({ ...JAMBA, mamba_expand: 3, mamba_proj_bias: true, mamba_conv_bias: false });
    const zeros = ({ shape }: { shape: readonly number[] }) =>
      ({ dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
    const { llamaCppLimits } = await writeGguf({
      config: bigintAsText,
      source: zeros,
      type: 'F32',
      sink: memorySink(),
    });
    expect(llamaCppLimits.join()).toMatch(/dInner 24 is not twice.*biases.*no bias/);
  });

  it.each([
    [{ attn_layer_offset: 1, attn_layer_period: 2 }, 'attn_layer_period', 'attention in layer 1'],
    [{ num_experts: 4 }, 'num_experts', 'experts in layer 1'],
    [
      { num_experts: 4, expert_layer_offset: 0, attn_layer_offset: 0, attn_layer_period: 1 },
      'attn_layer_period',
      'attention in layers 0, 1, 2, experts in layers 0, 2',
    ],
    [{ num_experts: undefined, num_hidden_layers: 20 }, 'attn_layer_period', 'attention in layers 4, 12, experts in'],
  ])('names the layers that are not there yet: %j', (change, field, words) => {
    expect(() => parseConfig({ ...JAMBA, ...change })).toThrowError(
      expect.objectContaining({
        code: 'unsupported',
        origin: `config.json: ${field}`,
        given: expect.stringContaining(words),
        expected: 'layers of a Mamba block and an MLP alone',
      }),
    );
  });

  it('names them in a GGUF file as well', async () => {
    const raw = () => {
      const header = new RawGguf()
        .entry('general.architecture', 8, string('jamba'))
        .entry('jamba.block_count', 4, u32(3))
        .entry('jamba.embedding_length', 4, u32(4))
        .entry('jamba.attention.layer_norm_rms_epsilon', 6, new Uint8Array(Float32Array.of(1e-5).buffer))
        .tensor('token_embd.weight', [4, 4], 0, 0)
        .tensor('blk.2.ffn_gate_inp.weight', [4], 0, 64);
      header.data = new Uint8Array(96);
      return header;
    };
    const key = 'jamba.attention.head_count_kv';
    const experts = 'experts in layer 2';
    const some = raw().entry(key, 9, join(u32(5), u64(3), u32(0), u32(2), u32(2)));
    await expectError(openCheckpoint(ggufStore(some.bytes())), 'unsupported', 'attention in layers 1, 2', experts);
    const all = raw().entry(key, 4, u32(2));
    await expectError(openCheckpoint(ggufStore(all.bytes())), 'unsupported', 'attention in layers 0, 1, 2', experts);
    await expectError(openCheckpoint(ggufStore(raw().bytes())), 'unsupported', experts);
  });

  it.each([
    ['another activation', { hidden_act: 'gelu' }, 'unsupported', 'hidden_act'],
    ['quantised weights', { quantization_config: {} }, 'unsupported', 'quantization_config'],
    ['another class', { architectures: ['MambaForCausalLM'] }, 'invalid-file', 'architectures'],
    ['no width', { intermediate_size: undefined }, 'invalid-file', 'intermediate_size'],
    ['a period of 0', { attn_layer_period: 0 }, 'invalid-file', 'attn_layer_period'],
    ['absurd layers', { num_hidden_layers: 2 ** 15 + 1 }, 'invalid-file', 'num_hidden_layers'],
    ['an absurd expansion', { hidden_size: 4096, mamba_expand: 65536 }, 'invalid-file', 'mamba_expand'],
  ])('refuses %s, naming the field', (_, change, code, field) => {
    expect(() => parseConfig({ ...JAMBA, ...change })).toThrowError(
      expect.objectContaining({ code, origin: `config.json: ${field}` }),
    );
  });

  it('names tensors that are missing, of a wrong shape or left over', async () => {
    const shapes = jambaShapes();
    const change = (tensor: string, name: string | undefined, shape = shapes[tensor]!) => {
      const values = seeded(shapes);
      const data = values.get(tensor)!;
      values.delete(tensor);
      if (name !== undefined) values.set(name, data);
      return openCheckpoint(familyStore(JAMBA, { ...shapes, [name ?? tensor]: shape }, values));
    };
    const gate = 'model.layers.1.feed_forward.gate_proj.weight';
    await expectError(change(gate, undefined), 'invalid-file', `no tensor "${gate}"`);
    await expectError(change(gate, 'x'), 'invalid-file', `no tensor "${gate}"`);
    await expectError(change(gate, gate, [8, 12]), 'invalid-file', gate, '[12, 8], as the config says');
    await expectError(change('lm_head.weight', undefined), 'invalid-file', '"tie_word_embeddings": true');
    const extra = { ...shapes, 'model.layers.7.mamba.D': [1] };
    await expectError(
      openCheckpoint(familyStore(JAMBA, extra, seeded(extra))),
      'invalid-file',
      'no place for',
      'layers.7',
    );
  });
});

describe("state-spaces' layout with MLPs", () => {
  it('has up and gate in one tensor', async () => {
    const checkpoint = await original();
    expect(checkpoint.family).toBe('mamba-original');
    expect(checkpoint.config.blocks.map(({ kind }) => kind)).toEqual(['mamba', 'mlp', 'mamba', 'mlp']);
    expect(checkpoint.config.blocks[1]).toMatchObject({ dHidden: ORIGINAL_HIDDEN, activation: 'silu' });
    expect(checkpoint.config.vocabSize).toBe(12);
    const fc1 = seeded(originalShapes()).get('backbone.layers.1.mlp.fc1.weight')!;
    const parameters = await parameterFloats(checkpoint);
    const half = ORIGINAL_HIDDEN * D_MODEL;
    expectSameBits(parameters.get('layers.3.block.up')!, fc1.slice(0, half), 'up');
    expectSameBits(parameters.get('layers.3.block.gate')!, fc1.slice(half), 'gate');
    const gate = modelParameters(checkpoint.config).find(({ name }) => name === 'layers.3.block.gate')!;
    const rows = (await checkpoint.source.rows!(gate))!;
    expect(rows.shape).toEqual([ORIGINAL_HIDDEN, D_MODEL]);
    const piece = await floats(await rows.rows(5, 3));
    expectSameBits(piece, fc1.slice(half + 5 * D_MODEL, half + 8 * D_MODEL), 'rows');
  });

  it('is written the same, and has no GGUF architecture', async () => {
    const checkpoint = await original();
    const again = await rewritten(checkpoint);
    expect(again.family).toBe('mamba-original');
    expect(again.config).toEqual(checkpoint.config);
    expect(again.tensors.tensors.get('backbone.layers.0.mlp.fc1.weight')!.shape).toEqual([
      2 * ORIGINAL_HIDDEN,
      D_MODEL,
    ]);
    await expectNearlySame(again, checkpoint);
    await expectError(asGguf(checkpoint), 'unsupported', 'mamba: the model has a block of kind mlp');
    // The blocks determine the family where none is named.
    const source = await parameterSource(checkpoint.config, checkpoint.tensors as never);
    const [embedding] = modelParameters(checkpoint.config);
    expect((await source(embedding!)).shape).toEqual([12, D_MODEL]);
  });

  it('names the one tensor that is missing once', async () => {
    const { 'backbone.layers.1.mlp.fc1.weight': _, ...shapes } = originalShapes();
    const opened = openCheckpoint(familyStore(ORIGINAL, shapes, seeded(shapes)));
    await expectError(opened, 'invalid-file', 'got no tensor "backbone.layers.1.mlp.fc1.weight", expected');
  });
});
