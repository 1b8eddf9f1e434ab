/** Matrices in smaller types: what is stored, what is computed with it, and what it costs a trained model. */

import { openCheckpoint } from '@mamba/checkpoint';
import { type Backend, createModel, type DType, type Model } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32, int32, relativeError, uniform } from './host.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 2 }).create();
});
afterAll(async () => {
  await backend.dispose();
});

const [OUTPUTS, INPUTS] = [37, 331];

/** How far a stored weight may be from the given one, relative to the largest of its 32 neighbours. */
const LIMITS = {
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
  // Half a step of 127, and the scale's rounding up by at most 1/128 of it.
  q8: (0.5 / 127) * (1 + 1 / 128),
  // Seven steps above zero for eight below: the largest of the other sign loses up to a whole one.
  q4: (1 / 8) * (1 + 1 / 128),
} as const satisfies Partial<Record<DType, number>>;
const TYPES = Object.keys(LIMITS) as readonly (keyof typeof LIMITS)[];

/** Columns of very different sizes, so that a wrong scale or place shows. */
function weights(): Float32Array {
  return uniform(OUTPUTS * INPUTS, 5).map((value, index) => value * 4 ** (((index % INPUTS) >> 5) - 5));
}

const store = (data: Float32Array, dtype: DType) =>
  backend.upload({ dtype: 'float32', shape: [OUTPUTS, INPUTS], data }, { dtype, role: 'matrix' });

describe.each(TYPES)('%s', (dtype) => {
  test('every weight is as near as its type allows', async () => {
    const given = weights();
    const matrix = store(given, dtype);
    const stored = await backend.read(matrix);
    for (let row = 0; row < OUTPUTS; row++) {
      for (let start = 0; start < INPUTS; start += 32) {
        const from = row * INPUTS + start;
        const to = row * INPUTS + Math.min(start + 32, INPUTS);
        const largest = given.subarray(from, to).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        for (let at = from; at < to; at++)
          expect(Math.abs(stored[at]! - given[at]!)).toBeLessThanOrEqual(largest * LIMITS[dtype]);
      }
    }
    matrix.dispose();
  });

  test('products and gathered rows are those of what is stored', async () => {
    const matrix = store(weights(), dtype);
    const stored = await backend.read(matrix);
    const rows = backend.embedding(matrix, int32(backend, [3], [36, 0, 15]));
    expect(await backend.read(rows)).toEqual(
      Float32Array.of(...[36, 0, 15].flatMap((row) => [...stored.subarray(row * INPUTS, (row + 1) * INPUTS)])),
    );
    for (const count of [1, 2, 7, 11]) {
      const values = uniform(count * INPUTS, 9);
      const y = backend.linear(float32(backend, [count, INPUTS], values), matrix);
      const expected = Float64Array.from({ length: count * OUTPUTS }, (_, index) => {
        const [row, output] = [Math.floor(index / OUTPUTS), index % OUTPUTS];
        let sum = 0;
        for (let k = 0; k < INPUTS; k++) sum += values[row * INPUTS + k]! * stored[output * INPUTS + k]!;
        return sum;
      });
      // Few rows meet quantised weights as 16-bit integers.
      expect(relativeError(await backend.read(y), expected)).toBeLessThan(count <= 8 ? 3e-5 : 2e-6);
      y.dispose();
    }
    matrix.dispose();
    rows.dispose();
  });

  test('zeros, and what is not finite', async () => {
    const given = new Float32Array(OUTPUTS * INPUTS);
    given[3] = Number.NaN;
    const matrix = store(given, dtype);
    const stored = await backend.read(matrix);
    expect(stored[3]).toBeNaN();
    expect([...stored.subarray(32)].every((value) => value === 0)).toBe(true);
    const y = await backend.read(
      backend.linear(float32(backend, [1, INPUTS], new Float32Array(INPUTS).fill(1)), matrix),
    );
    expect(y[0]).toBeNaN();
    expect(y[1]).toBe(0);
    const x = new Float32Array(INPUTS).fill(1);
    x[7] = Number.NaN;
    expect((await backend.read(backend.linear(float32(backend, [1, INPUTS], x), matrix)))[1]).toBeNaN();
    matrix.dispose();
  });
});

test('float16 of every kind: subnormal, largest, infinite, as bits and rounded', async () => {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, index) => index);
  for (const finite of [true, false]) {
    const data = finite ? bits.map((value) => ((value & 0x7c00) === 0x7c00 ? 0 : value)) : bits;
    const host = { dtype: 'float16', shape: [256, 256], data } as const;
    const halves = backend.upload(host, { dtype: 'float16', role: 'matrix' });
    const floats = backend.upload(host);
    const values = await backend.read(halves);
    expect(values).toEqual(await backend.read(floats));
    const again = backend.upload(
      { dtype: 'float32', shape: [256, 256], data: values as Float32Array },
      { dtype: 'float16', role: 'matrix' },
    );
    expect(await backend.read(again)).toEqual(values);
    // Sizes of x from one end of float32 to the other: the product scales them.
    for (const size of finite ? [1e-38, 1e-20, 1, 1e20, 1e32] : []) {
      const x = float32(
        backend,
        [1, 256],
        uniform(256, 3).map((value) => value * size),
      );
      const [fast, plain] = [backend.linear(x, halves), backend.linear(x, floats)];
      expect(relativeError(await backend.read(fast), await backend.read(plain))).toBeLessThan(1e-6);
      for (const tensor of [x, fast, plain]) tensor.dispose();
    }
    for (const tensor of [halves, floats, again]) tensor.dispose();
  }
});

/**
 * The trained checkpoint continues its own prompts, and is then measured against float32 on these 4096 tokens: the share of positions with the
 * same likeliest token, and perplexity. On 8,192 held-out tokens of `validation.txt`, where it is surer of itself, q8 agrees in 99.0 % (+0.04 %
 * perplexity), q4 in 87.3 % (+3.1 %).
 */
test.each([
  { dtype: 'float16', agreement: 1, perplexity: 1e-4 },
  { dtype: 'bfloat16', agreement: 0.99, perplexity: 2e-3 },
  { dtype: 'q8', agreement: 0.985, perplexity: 5e-3 },
  { dtype: 'q4', agreement: 0.8, perplexity: 0.08 },
] as const)('kjv-mamba in $dtype', { timeout: 0 }, async ({ dtype, agreement, perplexity }) => {
  const reference = await load('float32');
  const tokens = await continued(reference);
  const expected = await measure(reference, tokens);
  reference.dispose();
  const model = await load(dtype);
  const measured = await measure(model, tokens);
  model.dispose();
  const same = measured.likeliest.filter((id, index) => id === expected.likeliest[index]).length;
  expect(same / measured.likeliest.length).toBeGreaterThanOrEqual(agreement);
  expect(Math.abs(Math.exp(measured.loss - expected.loss) - 1)).toBeLessThan(perplexity);
});

const [ROWS, LENGTH] = [8, 512];

async function load(weights: DType): Promise<Model> {
  const checkpoint = await openCheckpoint(new URL('../../conformance/fixtures/kjv-mamba/', import.meta.url));
  try {
    return await createModel(backend, checkpoint.config, checkpoint.source, { weights });
  } finally {
    await checkpoint.close();
  }
}

async function continued(model: Model): Promise<number[][]> {
  const first = Array.from({ length: ROWS }, (_, row) => [100 + 60 * row]);
  const random = float32(backend, [ROWS, LENGTH - 1], uniform(ROWS * (LENGTH - 1), 17, 0, 1));
  const { ids, state } = model.decode(first, undefined, { count: LENGTH - 1, uniform: random });
  const values = await backend.read(ids);
  for (const held of [random, ids, state]) held.dispose();
  return first.map((row, index) => [...row, ...values.subarray(index * (LENGTH - 1), (index + 1) * (LENGTH - 1))]);
}

/** Likeliest token after each position, and the mean loss. */
async function measure(model: Model, tokens: number[][]): Promise<{ likeliest: Int32Array; loss: number }> {
  const fed = tokens.map((row) => row.slice(0, -1));
  const { logits, state } = model.forward(fed, { logits: 'all' });
  const next = int32(
    backend,
    [ROWS, LENGTH - 1],
    tokens.flatMap((row) => row.slice(1)),
  );
  const [likeliest, logProbs] = [backend.argmax(logits!), backend.logProb(logits!, next)];
  const result = {
    likeliest: (await backend.read(likeliest)) as Int32Array,
    loss: -[...(await backend.read(logProbs))].reduce((sum, value) => sum + value, 0) / (ROWS * (LENGTH - 1)),
  };
  for (const held of [logits!, state, next, likeliest, logProbs]) held.dispose();
  return result;
}
