/** Mamba-2 in the files of transformers, of state-spaces and of llama.cpp. */
import { type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
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
import { familyStore, type Shapes, seeded } from './family-helpers.ts';
import { expectSameBits, ggufStore, parameterFloats, RawGguf, string, u32 } from './gguf-helpers.ts';
import { expectError, memoryStore } from './helpers.ts';

const D_MODEL = 8;
const HEADS = 4;
const INNER = 16;
const STATE = 3;
const GROUPS = 2;
const CONV = INNER + 2 * GROUPS * STATE;

const TRANSFORMERS = {
  ...{ architectures: ['Mamba2ForCausalLM'], model_type: 'mamba2', hidden_size: D_MODEL, expand: 2 },
  ...{ num_heads: HEADS, head_dim: INNER / HEADS, state_size: STATE, n_groups: GROUPS, conv_kernel: 4 },
  ...{ num_hidden_layers: 2, vocab_size: 10, layer_norm_epsilon: 1e-5, tie_word_embeddings: false },
  ...{ time_step_limit: [0, { __float__: 'Infinity' }], use_bias: true, norm_before_gate: true, eos_token_id: 9 },
};

const ORIGINAL = {
  ...{ d_model: D_MODEL, d_intermediate: 0, n_layer: 2, vocab_size: 10, pad_vocab_size_multiple: 2 },
  ...{ attn_layer_idx: [], tie_embeddings: false },
  ssm_cfg: { layer: 'Mamba2', headdim: INNER / HEADS, d_state: STATE, ngroups: GROUPS, bias: true },
};

function shapesOf(embedding: string): Shapes {
  const shapes: Record<string, readonly number[]> = {
    [embedding]: [10, D_MODEL],
    'backbone.norm_f.weight': [D_MODEL],
    'lm_head.weight': [10, D_MODEL],
  };
  for (const layer of [0, 1]) {
    const path = `backbone.layers.${layer}`;
    Object.assign(shapes, {
      [`${path}.norm.weight`]: [D_MODEL],
      [`${path}.mixer.in_proj.weight`]: [INNER + CONV + HEADS, D_MODEL],
      [`${path}.mixer.in_proj.bias`]: [INNER + CONV + HEADS],
      [`${path}.mixer.conv1d.weight`]: [CONV, 1, 4],
      [`${path}.mixer.conv1d.bias`]: [CONV],
      [`${path}.mixer.dt_bias`]: [HEADS],
      [`${path}.mixer.A_log`]: [HEADS],
      [`${path}.mixer.D`]: [HEADS],
      [`${path}.mixer.norm.weight`]: [INNER],
      [`${path}.mixer.out_proj.weight`]: [D_MODEL, INNER],
      [`${path}.mixer.out_proj.bias`]: [D_MODEL],
    });
  }
  return shapes;
}

const SHAPES = shapesOf('backbone.embeddings.weight');
const open = (config: object = TRANSFORMERS, shapes = SHAPES) =>
  openCheckpoint(familyStore(config, shapes, seeded(shapes)));

const blockOf = ({ blocks }: ModelConfig) => blocks[0] as BlockConfig<'mamba2'>;

async function rewritten({ config, source, specialTokens }: Checkpoint, family?: string): Promise<Checkpoint> {
  const sink = memorySink();
  await writeSafetensorsModel({ config, source, type: 'F32', sink, family });
  const json = JSON.stringify(modelConfigJson(config, specialTokens, family));
  return openCheckpoint(memoryStore({ 'config.json': json, 'model.safetensors': sink.bytes() }));
}

async function asGguf({ config, source, specialTokens }: Checkpoint): Promise<Checkpoint> {
  const sink = memorySink();
  await writeGguf({ config, source, specialTokens, type: 'F32', sink });
  return openCheckpoint(ggufStore(sink.bytes()));
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

describe('Mamba-2 of transformers', () => {
  it('has each parameter in a tensor of its own, and its gate before its norm whatever the config says', async () => {
    const checkpoint = await open();
    expect(checkpoint.family).toBe('mamba2');
    expect(checkpoint.config).toMatchObject({ dModel: D_MODEL, vocabSize: 10, normEps: 1e-5, tiedHead: false });
    expect(blockOf(checkpoint.config)).toEqual({
      ...{ kind: 'mamba2', heads: HEADS, headDim: 4, dState: STATE, dConv: 4, groups: GROUPS },
      ...{ norm: true, normEps: 1e-5, projectionBias: true, convBias: true },
    });
    const values = seeded(SHAPES);
    const parameters = await parameterFloats(checkpoint);
    expect(parameters.size).toBe(values.size);
    for (const [key, tensor] of [
      ['block.inProj', 'mixer.in_proj.weight'],
      ['block.inProjBias', 'mixer.in_proj.bias'],
      ['block.conv', 'mixer.conv1d.weight'],
      ['block.dtBias', 'mixer.dt_bias'],
      ['block.D', 'mixer.D'],
      ['block.norm', 'mixer.norm.weight'],
      ['norm', 'norm.weight'],
      ['block.outProjBias', 'mixer.out_proj.bias'],
    ] as const)
      expectSameBits(parameters.get(`layers.1.${key}`)!, values.get(`backbone.layers.1.${tensor}`)!, key);
    const [log] = values.get('backbone.layers.0.mixer.A_log')!;
    expect(parameters.get('layers.0.block.A')![0]).toBeCloseTo(-Math.exp(log!), 6);
  });

  it('fills in what transformers would', () => {
    const config = parseConfig({ model_type: 'mamba2', hidden_size: 4096, num_hidden_layers: 2, vocab_size: 32768 });
    expect(config.tiedHead).toBe(false);
    expect(blockOf(config)).toMatchObject({ heads: 128, headDim: 64, dState: 128, groups: 8, dConv: 4 });
  });

  it('is written as files and as GGUF, and is the same again', async () => {
    const checkpoint = await open();
    const gguf = await asGguf(checkpoint);
    for (const again of [await rewritten(checkpoint), gguf]) {
      expect(again.family).toBe('mamba2');
      expect(again.config).toEqual(checkpoint.config);
      expect(again.specialTokens).toEqual(checkpoint.specialTokens);
      await expectNearlySame(again, checkpoint);
    }
    const shapes = ['ssm_a', 'ssm_d', 'ssm_norm.weight', 'ssm_dt.bias', 'ssm_conv1d.weight'].map(
      (name) => gguf.tensors.tensors.get(`blk.1.${name}`)!.shape,
    );
    expect(shapes).toEqual([[HEADS, 1], [HEADS, 1], [GROUPS, INNER / GROUPS], [HEADS], [CONV, 4]]);
    expect(gguf.gguf!.metadata.get('mamba2.ssm.time_step_rank')).toBe(HEADS);
  });

  it.each<[string, unknown, object]>([
    ['no limits', [0, Number.POSITIVE_INFINITY], {}],
    ['a largest step', [0, 0.1], { dtMax: 0.1 }],
    ['a smallest step', [0.001, { __float__: 'Infinity' }], { dtMin: 0.001 }],
    ['both', [0.001, 100], { dtMin: 0.001, dtMax: 100 }],
  ])('reads and writes %s of the step size', async (_, limit, expected) => {
    const config = parseConfig({ ...TRANSFORMERS, time_step_limit: limit });
    const { dtMin, dtMax } = blockOf(config);
    expect({ dtMin, dtMax }).toEqual({ dtMin: undefined, dtMax: undefined, ...expected });
    const json = JSON.stringify(modelConfigJson(config, { bos: undefined, eos: [] }));
    expect(parseConfig(JSON.parse(json))).toEqual(config);
    const original = JSON.stringify(modelConfigJson(config, { bos: undefined, eos: [] }, 'mamba-original'));
    expect(parseConfig(JSON.parse(original))).toEqual(config);
    const { source } = await open();
    const written = writeGguf({ config, source, type: 'F32', sink: memorySink() });
    if (Object.keys(expected).length === 0) await written;
    else await expectError(written, 'unsupported', 'mamba2: the model has limits of the step size');
  });

  it.each<[string, object, string, string]>([
    ['heads that are not the inner size', { num_heads: 5 }, 'invalid-file', 'num_heads'],
    ['an inner size that differs', { intermediate_size: 24 }, 'invalid-file', 'num_heads'],
    ['groups that do not divide', { n_groups: 3 }, 'invalid-file', 'n_groups'],
    ['one limit', { time_step_limit: [0] }, 'invalid-file', 'time_step_limit'],
    ['limits in words', { time_step_limit: ['0', 'inf'] }, 'invalid-file', 'time_step_limit'],
    ['limits that cross', { time_step_limit: [2, 1] }, 'invalid-file', 'time_step_limit'],
    ['another activation', { hidden_act: 'gelu' }, 'unsupported', 'hidden_act'],
    ['another class', { architectures: ['MambaForCausalLM'] }, 'invalid-file', 'architectures'],
  ])('refuses %s, naming the field', (_, change, code, field) => {
    expect(() => parseConfig({ ...TRANSFORMERS, ...change })).toThrowError(
      expect.objectContaining({ code, origin: `config.json: ${field}` }),
    );
  });

  it.each<[Partial<BlockConfig<'mamba2'>>, string]>([
    [{ norm: false, normEps: undefined }, 'mamba2: the model has a gate without a norm'],
    [{ normBeforeGate: true }, 'mamba2: the model has a norm before the gate'],
    [{ normEps: 1e-3 }, 'mamba2: the model has a gated norm of eps 0.001, not 0.00001'],
    [{ heads: 5 }, 'mamba2: the model has an inner size of 20, no multiple of its width'],
    [{ heads: 5, groups: 1 }, 'mamba-original: the model has an inner size of 20, no multiple of its width'],
  ])('says why it cannot hold a model with %j', async (change, reason) => {
    const { config, source } = await open();
    const changed = modelConfig({
      ...config,
      blocks: config.blocks.map((block) => ({ ...(block as BlockConfig<'mamba2'>), groups: 1, ...change })),
    });
    const family = reason.slice(0, reason.indexOf(':'));
    const written = writeSafetensorsModel({ config: changed, source, family, type: 'F32', sink: memorySink() });
    await expectError(written, 'unsupported', reason);
  });

  it('says what llama.cpp cannot load', async () => {
    const { config, source } = await open();
    const { llamaCppLimits } = await writeGguf({ config, source, type: 'Q8_0', sink: memorySink() });
    expect(llamaCppLimits).toEqual(['in_proj and out_proj have biases']);
  });

  it.each<[string, number, number, string]>([
    ['heads that do not divide the inner size', 3, 1, 'mamba2.ssm.time_step_rank'],
    ['groups that do not divide the heads', 4, 3, 'mamba2.ssm.group_count'],
  ])('refuses %s in a GGUF file', async (_, heads, groups, key) => {
    const sizes = {
      block_count: 1,
      embedding_length: 4,
      'ssm.inner_size': 8,
      'ssm.state_size': 2,
      'ssm.conv_kernel': 4,
    };
    const header = new RawGguf()
      .entry('general.architecture', 8, string('mamba2'))
      .entry('mamba2.attention.layer_norm_rms_epsilon', 6, new Uint8Array(Float32Array.of(1e-5).buffer))
      .entry('mamba2.ssm.time_step_rank', 4, u32(heads))
      .entry('mamba2.ssm.group_count', 4, u32(groups))
      .tensor('token_embd.weight', [4, 4], 0, 0);
    for (const [name, value] of Object.entries(sizes)) header.entry(`mamba2.${name}`, 4, u32(value));
    header.data = new Uint8Array(64);
    await expectError(openCheckpoint(ggufStore(header.bytes())), 'invalid-file', key);
  });
});

describe('Mamba-2 of state-spaces', () => {
  it('is the same model with other names, and may be written as either', async () => {
    const shapes = shapesOf('backbone.embedding.weight');
    const checkpoint = await open(ORIGINAL, shapes);
    expect(checkpoint.family).toBe('mamba-original');
    const transformers = await open();
    expect(checkpoint.config).toEqual(transformers.config);
    await expectNearlySame(checkpoint, transformers);
    expect((await rewritten(checkpoint)).family).toBe('mamba2');
    const again = await rewritten(checkpoint, 'mamba-original');
    expect(again.family).toBe('mamba-original');
    expect(again.config).toEqual(checkpoint.config);
    await expectNearlySame(again, checkpoint);
  });

  it('may have a norm before its gate, no norm, or an MLP after it, which transformers has not', () => {
    const config = (ssm: object, more: object = {}) =>
      parseConfig({ ...ORIGINAL, ...more, ssm_cfg: { ...ORIGINAL.ssm_cfg, ...ssm } });
    for (const [given, expected] of [
      [config({ norm_before_gate: true }), { norm: true, normBeforeGate: true, normEps: 1e-5 }],
      [config({ rmsnorm: false }), { norm: false }],
      [config({ dt_limit: [0.01, Number.POSITIVE_INFINITY] }), { dtMin: 0.01 }],
      [config({}, { d_intermediate: 100 }), { kind: 'mamba2' }],
    ] as const) {
      expect(blockOf(given)).toMatchObject(expected);
      const json = JSON.stringify(modelConfigJson(given, { bos: undefined, eos: [] }, 'mamba-original'));
      expect(parseConfig(JSON.parse(json))).toEqual(given);
    }
    expect(config({}, { d_intermediate: 100 }).blocks.map(({ kind }) => kind)).toEqual([
      ...['mamba2', 'mlp'],
      ...['mamba2', 'mlp'],
    ]);
    // Published files say no more than this.
    const published = { d_model: 768, n_layer: 24, vocab_size: 50277, pad_vocab_size_multiple: 16 };
    const sizes = { heads: 24, headDim: 64, dState: 128, groups: 1, dConv: 4 };
    expect(blockOf(parseConfig({ ...published, ssm_cfg: { layer: 'Mamba2' } }))).toMatchObject(sizes);
  });

  it.each<[string, object, string, string]>([
    ['an MLP inside the mixer', { d_ssm: 8 }, 'unsupported', 'd_ssm'],
    ['a D for each channel', { D_has_hdim: true }, 'unsupported', 'D_has_hdim'],
    ['heads that do not divide', { headdim: 5 }, 'invalid-file', 'headdim'],
    ['groups that do not divide', { ngroups: 3 }, 'invalid-file', 'ngroups'],
    ['limits that cross', { dt_limit: [2, 1] }, 'invalid-file', 'dt_limit'],
    ['another layer', { layer: 'Mamba3' }, 'unsupported', 'layer'],
  ])('refuses %s, naming the field', (_, change, code, field) => {
    const json = { ...ORIGINAL, ssm_cfg: { ...ORIGINAL.ssm_cfg, ...change } };
    expect(() => parseConfig(json)).toThrowError(
      expect.objectContaining({ code, origin: `config.json: ssm_cfg: ${field}` }),
    );
  });

  it('refuses fields of the other mixer, and layers of attention', () => {
    const ssm = { ...ORIGINAL.ssm_cfg, dt_rank: 3 };
    expect(() => parseConfig({ ...ORIGINAL, ssm_cfg: ssm })).toThrowError(/"dt_rank"/);
    expect(() => parseConfig({ ...ORIGINAL, attn_layer_idx: [1] })).toThrowError(/layers of attention/);
  });
});
