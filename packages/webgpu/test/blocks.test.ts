// Models of several kinds of blocks, whole and block by block, against the same models composed of single operations.
import { seededWeights } from '@mamba/conformance';
import {
  type Backend,
  type BlockConfig,
  type BlockWeights,
  createBlock,
  createModel,
  type Model,
  type ModelConfig,
  modelConfig,
  modelParameters,
  type ParameterSource,
  type Tensor,
} from '@mamba/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersOf, webgpu } from '../src/index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

const D_MODEL = 24;
const mamba = { kind: 'mamba', dInner: 48, dState: 16, dConv: 4, dtRank: 2 } as const;
const small = { kind: 'mamba', dInner: 32, dState: 5, dConv: 3, dtRank: 3 } as const;
const jamba = { ...mamba, mixerNormEps: 1e-6, mixerNormWeights: true } as const;
const swiglu = { kind: 'mlp', dHidden: 40, activation: 'silu' } as const;
const gelu = { kind: 'mlp', dHidden: 70, activation: 'gelu-tanh', bias: true } as const;

const llama = { kind: 'attention', heads: 4, kvHeads: 2, headDim: 8, rope: {} } as const;
const capped = {
  kind: 'attention',
  ...{ heads: 2, headDim: 12, window: 6, scale: 0.2, softcap: 3, bias: true, outBias: true },
  ...{ rope: { rotaryDim: 6, interleaved: true, theta: 500 }, qkNormEps: 1e-5 },
} as const;

const of = (blocks: readonly BlockConfig[], rest: Partial<ModelConfig> = {}): ModelConfig =>
  modelConfig({ dModel: D_MODEL, vocabSize: 50, blocks, ...rest });

/**
 * Dispatches of a step: of a Mamba block, of feed-forward blocks with and without a gate, and of an attention block,
 * whose are norm with q, k and v; positions and cache; attention; and the output.
 */
const STEPS = { mamba: 3, gated: 4, plain: 2, attention: 4 };
/**
 * Dispatches beside the layers: embedding, and norm with head. A LayerNorm is one by itself, and so are the places of
 * the next step.
 */
const BESIDE = 2;
const PLACES = 1;

describe.each([
  {
    form: 'mamba and mlp',
    config: of([mamba, swiglu, mamba, gelu]),
    step: 2 * STEPS.mamba + STEPS.gated + STEPS.plain + BESIDE,
  },
  { form: 'blocks of unlike sizes', config: of([small, gelu, mamba, swiglu, jamba]), step: undefined },
  { form: 'mlp alone', config: of([swiglu, gelu]), step: STEPS.gated + STEPS.plain + BESIDE },
  { form: 'norms of dt, B and C with weights', config: of([jamba]), step: STEPS.mamba + BESIDE },
  {
    form: 'such norms of few states',
    config: of([{ ...small, mixerNormEps: 1e-5, mixerNormWeights: true }]),
    step: undefined,
  },
  {
    form: 'LayerNorm',
    config: of([mamba, swiglu], { norm: 'layer' }),
    step: STEPS.mamba + STEPS.gated + 3 + BESIDE,
  },
  {
    form: 'attention, mlp and mamba',
    config: of([llama, swiglu, mamba, capped]),
    step: 2 * STEPS.attention + STEPS.gated + STEPS.mamba + BESIDE + PLACES,
  },
  {
    form: 'parallel attention and mlp',
    config: of([capped, gelu, llama, swiglu], { norm: 'layer', parallel: 2 }),
    // The norms of both blocks are one dispatch.
    step: 2 * STEPS.attention + STEPS.plain + STEPS.gated + 3 + BESIDE + PLACES,
  },
  {
    form: 'multipliers',
    config: of([swiglu, jamba], { multipliers: { residual: 0.5, logits: 2, embedding: 3 } }),
    step: undefined,
  },
  { form: 'a table of positions', config: of([mamba, gelu], { positions: 100 }), step: undefined },
])('$form', ({ config, step }) => {
  let fused: Model;
  let composed: Model;
  beforeAll(async () => {
    fused = await createModel(backend, config, seededWeights(config, 5));
    composed = await createModel(backend, config, seededWeights(config, 5), { composed: true });
  });
  afterAll(() => {
    fused.dispose();
    composed.dispose();
  });

  test('gives what its operations give, in fewer dispatches', async () => {
    const [actual, fewer] = await counted(() => run(fused));
    const [expected, more] = await counted(() => run(composed));
    expect(actual.length).toBe(expected.length);
    const scale = Math.max(...expected.map(Math.abs));
    for (const [index, value] of actual.entries())
      expect(Math.abs(value - expected[index]!) / scale).toBeLessThan(5e-5);
    expect(fewer).toBeLessThan(more);
  });

  test.runIf(step !== undefined)('steps in as few dispatches as its blocks', async () => {
    const { state, logits } = fused.forward([[1], [2]]);
    const [, dispatches] = await counted(async () => {
      const next = fused.forward([[3], [4]], { state, donateState: true });
      next.state.dispose();
      next.logits!.dispose();
    });
    logits!.dispose();
    expect(dispatches).toBe(step!);
  });
});

test('a single row takes one product for gate and up', async () => {
  const config = of([{ ...swiglu, dHidden: 64 }]);
  const source = seededWeights(config, 6);
  const fused = await createModel(backend, config, source);
  const composed = await createModel(backend, config, source, { composed: true });
  const logits = async (model: Model, ids: readonly number[][]): Promise<ArrayLike<number>> => {
    const { logits, state } = model.forward(ids);
    state.dispose();
    const values = await backend.read(logits!);
    logits!.dispose();
    return values;
  };
  for (const { ids, step } of [
    { ids: [[7]], step: 3 },
    { ids: [[7], [9]], step: STEPS.gated },
  ]) {
    const expected = await logits(composed, ids);
    const [actual, dispatches] = await counted(() => logits(fused, ids));
    expect(dispatches).toBe(step + BESIDE);
    for (let index = 0; index < expected.length; index++) expect(actual[index]).toBeCloseTo(expected[index]!, 4);
  }
  fused.dispose();
  composed.dispose();
});

async function counted<R>(work: () => Promise<R>): Promise<[R, number]> {
  const before = countersOf(backend).dispatches;
  const result = await work();
  return [result, countersOf(backend).dispatches - before];
}

/**
 * Returns the logits of a prompt, of another chunk, of steps and of many rows, the state afterwards, and the ids that
 * are generated next.
 */
async function run(model: Model): Promise<number[]> {
  const values: number[] = [];
  const keep = async ({ logits, state }: ReturnType<Model['forward']>) => {
    values.push(...(await backend.read(logits!)));
    logits!.dispose();
    return state;
  };
  let state = await keep(
    model.forward([
      [1, 2, 3, 4, 5, 6, 7],
      [9, 8, 7, 6, 5, 4, 3],
    ]),
  );
  state = await keep(
    model.forward(
      [
        [8, 9],
        [2, 1],
      ],
      { state, donateState: true },
    ),
  );
  for (const token of [11, 12, 13])
    state = await keep(model.forward([[token], [token + 20]], { state, donateState: true }));
  const many = model.gatherState(Array.from({ length: 10 }, (_, row) => ({ state, row: row % 2 })));
  (
    await keep(
      model.forward(
        Array.from({ length: 10 }, (_, row) => [row]),
        { state: many, donateState: true },
      ),
    )
  ).dispose();
  const { layers } = await model.exportState(state);
  values.push(...layers.flatMap((layer) => Object.values(layer).flatMap((slot) => [...slot])));
  const generated = model.decode([[14], [15]], state, { count: 4, donateState: true });
  values.push(...(await backend.read(generated.ids)));
  generated.ids.dispose();
  generated.state.dispose();
  return values;
}

const blocks: readonly { name: string; config: BlockConfig; dispatches: { prefill: number; step: number } }[] = [
  { name: 'mamba', config: mamba, dispatches: { prefill: 6, step: 3 } },
  { name: 'mamba with norms', config: { ...jamba, projectionBias: true }, dispatches: { prefill: 7, step: 3 } },
  { name: 'mlp, gated', config: swiglu, dispatches: { prefill: 4, step: 4 } },
  { name: 'mlp', config: gelu, dispatches: { prefill: 3, step: 2 } },
];

test.each(blocks)('a block by itself: $name', async ({ config, dispatches }) => {
  const weights = await uploaded(config, seededWeights(of([config]), 3));
  const alive = countersOf(backend).buffersAlive;
  const block = createBlock(backend, { ...config, dModel: D_MODEL }, weights);
  const x = backend.upload({ dtype: 'float32', shape: [2, 7, D_MODEL], data: wave(2 * 7 * D_MODEL) });
  const [whole, prefills] = await counted(async () => block.forward(x));
  expect(prefills).toBe(dispatches.prefill);
  const expected = await backend.read(whole.y);
  // The last token is fed again, after a chunk of the others.
  const [before, after] = [backend.slice(x, 1, 0, 6), backend.slice(x, 1, 6, 7)];
  const chunk = block.forward(before);
  const kept = await Promise.all(Object.values(chunk.state).map((tensor) => backend.read(tensor)));
  const [last, steps] = await counted(async () => block.forward(after, { state: chunk.state, positions: [6, 6] }));
  expect(steps).toBe(dispatches.step);
  const actual = await backend.read(last.y);
  for (const row of [0, 1])
    for (let c = 0; c < D_MODEL; c++)
      expect(actual[row * D_MODEL + c]).toBeCloseTo(expected[(row * 7 + 6) * D_MODEL + c]!, 5);
  for (const [index, tensor] of Object.values(chunk.state).entries())
    expect(await backend.read(tensor)).toEqual(kept[index]);
  for (const { y, state } of [whole, chunk, last]) for (const tensor of [y, ...Object.values(state)]) tensor.dispose();
  for (const tensor of [x, before, after]) tensor.dispose();
  block.dispose();
  expect(countersOf(backend).buffersAlive).toBe(alive);
  for (const tensor of Object.values(weights)) tensor?.dispose();
});

async function uploaded(config: BlockConfig, source: ParameterSource): Promise<BlockWeights<Tensor>> {
  const weights: Record<string, Tensor> = {};
  for (const parameter of modelParameters(of([config])))
    if (parameter.key.startsWith('block.'))
      weights[parameter.key.slice('block.'.length)] = backend.upload(await source(parameter));
  return weights;
}

function wave(length: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => Math.sin(0.7 * index));
}
