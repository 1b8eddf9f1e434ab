// Every form of a decode step that the rules may choose, against the same model composed of single operations. Its
// dispatches are counted as well.
import { seededWeights } from '@mamba/conformance';
import {
  type Backend,
  createModel,
  type DType,
  type Model,
  type ModelConfig,
  modelConfig,
  type ParameterSource,
} from '@mamba/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { globals } from 'webgpu';
import { countersOf, webgpu } from '../src/index.ts';
import { compileLazily } from './compile-lazily.ts';

let backend: Backend;
beforeAll(async () => {
  compileLazily(globals);
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

const STEPS = 3;
const VOCAB = 50;

const variants: readonly {
  readonly form: string;
  readonly config: ModelConfig;
  readonly dtypes: readonly DType[];
  /** Rows; 3 by default. */
  readonly batch?: number;
  /** Dispatches of a layer's step. */
  readonly dispatches: number;
  /** Those of the whole step besides; 2 by default, embedding and head. */
  readonly others?: number;
  /** The magnitude of the weights of embedding, out_proj and x_proj, which norms take out again. */
  readonly magnitude?: number;
  /** A value that is planted into A. */
  readonly rate?: number;
}[] = [
  {
    form: 'x_proj joined to in_proj',
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }),
    dtypes: ['float32', 'float16', 'bfloat16', 'q8', 'q4'],
    dispatches: 3,
  },
  {
    form: 'joined, with more channels than a section of q4',
    config: modelConfig({ layers: 1, dModel: 160, vocabSize: VOCAB }),
    dtypes: ['q8', 'q4'],
    dispatches: 3,
  },
  {
    form: 'joined, more outputs of x_proj than lanes',
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }, { dState: 300, dtRank: 5 }),
    dtypes: ['float32', 'float16'],
    dispatches: 3,
  },
  {
    form: 'joined, with norms of dt, B and C',
    config: modelConfig({ layers: 2, dModel: 64, vocabSize: VOCAB }, { dState: 5, dConv: 3, mixerNormEps: 1e-6 }),
    dtypes: ['float32', 'bfloat16'],
    dispatches: 3,
  },
  {
    form: 'joined, with norms of dt, B and C that have weights',
    config: modelConfig(
      { layers: 2, dModel: 64, vocabSize: VOCAB },
      { dState: 7, mixerNormEps: 1e-6, mixerNormWeights: true },
    ),
    dtypes: ['float32', 'float16'],
    dispatches: 3,
  },
  {
    form: 'joined, with such norms in q8',
    config: modelConfig(
      { layers: 2, dModel: 24, vocabSize: VOCAB },
      { dState: 40, dtRank: 5, mixerNormEps: 1e-6, mixerNormWeights: true },
    ),
    dtypes: ['q8'],
    dispatches: 3,
  },
  ...[1e-25, 1e20].map((magnitude) => ({
    form: `joined, norms without an eps of rows of ${magnitude}`,
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }, { normEps: 0, mixerNormEps: 0, tiedHead: false }),
    dtypes: ['float32'] as const,
    dispatches: 3,
    magnitude,
  })),
  {
    form: 'joined, with a rate of -infinity',
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }),
    dtypes: ['float32'],
    dispatches: 3,
    rate: Number.NEGATIVE_INFINITY,
  },
  {
    form: 'apart, channels that fill no workgroup',
    config: modelConfig({ layers: 2, dModel: 20, vocabSize: VOCAB }),
    dtypes: ['float32', 'float16', 'q8', 'q4'],
    dispatches: 4,
  },
  {
    form: 'apart, with too many parts to add up',
    config: modelConfig({ layers: 1, dModel: 1024, vocabSize: VOCAB }, { dState: 64 }),
    dtypes: ['float16'],
    dispatches: 4,
  },
  {
    form: 'many rows',
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }),
    dtypes: ['float32', 'q8', 'q4'],
    batch: 17,
    dispatches: 6,
    others: 3,
  },
  ...[1e-25, 1e20].map((magnitude) => ({
    form: `many rows, norms without an eps of rows of ${magnitude}`,
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }, { normEps: 0, mixerNormEps: 0, tiedHead: false }),
    dtypes: ['float32'] as const,
    batch: 17,
    dispatches: 6,
    others: 3,
    magnitude,
  })),
  {
    form: 'many rows of no whole vec4s, whose norms stay apart',
    config: modelConfig({ layers: 2, dModel: 22, vocabSize: VOCAB }),
    dtypes: ['float32'],
    batch: 17,
    dispatches: 6,
    others: 3,
  },
  {
    form: 'many rows of more vec4s than lanes',
    config: modelConfig({ layers: 1, dModel: 1028, vocabSize: VOCAB }, { dInner: 128 }),
    dtypes: ['float32'],
    batch: 17,
    dispatches: 6,
    others: 4,
  },
  {
    form: 'rows that are many for out_proj and few for in_proj',
    config: modelConfig({ layers: 2, dModel: 24, vocabSize: VOCAB }, { projectionBias: true }),
    dtypes: ['float32', 'q8'],
    batch: 9,
    dispatches: 4,
  },
  {
    form: 'many rows, products in parts, biases, norms, three taps',
    config: modelConfig(
      { layers: 2, dModel: 128, vocabSize: VOCAB },
      { projectionBias: true, convBias: false, dConv: 3, dState: 5, mixerNormEps: 1e-6 },
    ),
    dtypes: ['float16'],
    batch: 66,
    dispatches: 6,
    others: 4,
  },
];

test.each(variants.flatMap(({ dtypes, ...variant }) => dtypes.map((dtype) => ({ ...variant, dtype }))))(
  '$form: $dtype',
  async ({ config, dtype, dispatches, batch = 3, others = 2, magnitude = 1, rate }) => {
    const weights = edited(seededWeights(config, 7), magnitude, rate);
    const fused = await createModel(backend, config, weights, { weights: dtype });
    const composed = await createModel(backend, config, weights, { weights: dtype, composed: true });
    const before = countersOf(backend).dispatches;
    const actual = await steps(fused, batch);
    expect(countersOf(backend).dispatches - before).toBe(STEPS * (dispatches * config.blocks.length + others));
    const expected = await steps(composed, batch);
    expectClose(actual, expected);
    // The first row of the batch gets what it gets alone.
    expectClose(firstRows(actual, batch), await steps(fused, 1));
    fused.dispose();
    composed.dispose();
  },
);

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  for (const [index, value] of actual.entries()) expect(Math.abs(value - expected[index]!) / scale).toBeLessThan(5e-5);
}

/** The logits of the first row in each step. */
function firstRows(logits: readonly number[], batch: number): number[] {
  return logits.filter((_, index) => Math.floor(index / VOCAB) % batch === 0);
}

/** Returns the logits of some tokens that are fed one by one, from an empty state. */
async function steps(model: Model, batch: number): Promise<number[]> {
  const all: number[] = [];
  let { state, logits } = model.forward(idsOf(batch, 0), { logits: 'last' });
  for (let step = 1; ; step++) {
    all.push(...(await backend.read(logits!)));
    logits!.dispose();
    if (step === STEPS) break;
    ({ state, logits } = model.forward(idsOf(batch, step), { state, donateState: true }));
  }
  state.dispose();
  return all;
}

function idsOf(batch: number, step: number): number[][] {
  return Array.from({ length: batch }, (_, row) => [(7 * row + step) % 50]);
}

function edited(source: ParameterSource, factor: number, rate: number | undefined): ParameterSource {
  return async (parameter) => {
    const host = await source(parameter);
    if (parameter.key === 'block.A' && rate !== undefined) host.data[5] = rate;
    if (!['embedding', 'block.outProj', 'block.xProj'].includes(parameter.key)) return host;
    return { ...host, data: host.data.map((value) => value * factor) } as typeof host;
  };
}
