/**
 * The error bounds that assembly/lib states, by dense sampling against Math in float64, through the operations that use them.
 */
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { float32, int32, uniform, worstOf } from './host.ts';

const COUNT = 200_000;
let backend: Backend;

beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(async () => {
  await backend.dispose();
});

const between = (low: number, high: number): Float32Array =>
  Float32Array.from({ length: COUNT }, (_, index) => low + ((high - low) * index) / (COUNT - 1));

/** One step of channels with one state: y = exp(delta A) · 1, without an input. */
async function decayOf(x: Float32Array): Promise<Float32Array> {
  const dim = x.length;
  const ones = new Float32Array(dim).fill(1);
  const zeros = float32(backend, [1, 1, dim], new Float32Array(dim));
  // delta A is x itself, by delta = |x| and A = ±1.
  const delta = float32(backend, [1, 1, dim], x.map(Math.abs));
  const A = float32(backend, [dim, 1], x.map(Math.sign));
  const one = float32(backend, [1, 1, 1], [1]);
  const { y } = backend.selectiveScan(zeros, delta, A, one, one, { initialState: float32(backend, [1, dim, 1], ones) });
  return (await backend.read(y)) as Float32Array;
}

/** softplus(delta), as d B u of the first step. */
async function softplusOf(x: Float32Array): Promise<Float32Array> {
  const dim = x.length;
  const shape = [1, 1, dim];
  const one = float32(backend, [1, 1, 1], [1]);
  const u = float32(backend, shape, new Float32Array(dim).fill(1));
  const A = float32(backend, [dim, 1], new Float32Array(dim));
  const { y } = backend.selectiveScan(u, float32(backend, shape, x), A, one, one, { deltaSoftplus: true });
  return (await backend.read(y)) as Float32Array;
}

async function siluOf(x: Float32Array): Promise<Float32Array> {
  const dim = x.length;
  const weight = Float32Array.from({ length: 2 * dim }, (_, index) => index % 2);
  const { y } = backend.causalConv1d(float32(backend, [1, 1, dim], x), float32(backend, [dim, 2], weight), undefined, {
    activation: 'silu',
  });
  return (await backend.read(y)) as Float32Array;
}

/** -log(1 + exp(x)) */
async function logSumOf(x: number): Promise<number> {
  const y = backend.logProb(float32(backend, [1, 2], [0, x]), int32(backend, [1], [0]));
  return (await backend.read(y))[0]!;
}

// d A log2(e) is rounded twice before 2^x is taken: at most 1.3e-7 of |x|, the part of the bound that grows.
const bound = (x: number): number => 2e-7 + 1.3e-7 * Math.abs(x);

test.each([
  ['the fast path, near 1', -1, 0],
  ['the fast path, all of its range', -87, 0],
  ['growth', 0, 88],
  ['growth, near 1', 0, 1],
])('exp of the scan, %s', async (_, low, high) => {
  const x = between(low, high);
  const y = await decayOf(x);
  const worst = y.reduce((most, value, index) => {
    const wanted = Math.exp(x[index]!);
    return Math.max(most, Math.abs(value - wanted) / wanted / bound(x[index]!));
  }, 0);
  expect(worst).toBeLessThan(1);
});

test('2^x of the scan for x that a float holds: relative error below 2e-7 over all normal results', async () => {
  // The kernel's own x, d times A log2(e) rounded, is known here, so this is the error of 2^x alone.
  const A = Math.fround(-Math.LN2);
  const exponent = Math.fround(A * Math.fround(Math.LOG2E));
  const dim = 64 * 125;
  const delta = Float32Array.from({ length: dim }, (_, index) => index / 64);
  const product = delta.map((d) => Math.fround(d * exponent));
  const ones = new Float32Array(dim).fill(1);
  const one = float32(backend, [1, 1, 1], [1]);
  const { y } = backend.selectiveScan(
    float32(backend, [1, 1, dim], new Float32Array(dim)),
    float32(backend, [1, 1, dim], delta),
    float32(
      backend,
      [dim, 1],
      ones.map(() => A),
    ),
    one,
    one,
    { initialState: float32(backend, [1, dim, 1], ones) },
  );
  const values = (await backend.read(y)) as Float32Array;
  expect(worstOf(values, (index) => 2 ** product[index]!)).toBeLessThan(2e-7);
});

test('the scan flushes what is below 2^-126 to 0', async () => {
  expect(await decayOf(Float32Array.of(-88, -1000, -1e30))).toEqual(Float32Array.of(0, 0, 0));
});

test('decays close to 1 keep their distance from it: no drift over 2^15 steps', async () => {
  const [length, dim] = [2 ** 15, 8];
  // A rounded exp(dA) would be 1, or 1 - 6e-8: after all steps off by 1e-3 of the oldest input.
  const rate = Float32Array.from({ length: dim }, (_, channel) => -1e-8 * (channel + 1));
  const input = uniform(length * dim, 1, 0.5, 1.5);
  const ones = float32(backend, [1, length, 1], new Float32Array(length).fill(1));
  const { lastState } = backend.selectiveScan(
    float32(backend, [1, length, dim], input),
    float32(backend, [1, length, dim], new Float32Array(length * dim).fill(1)),
    float32(backend, [dim, 1], rate),
    ones,
    ones,
  );
  const values = await backend.read(lastState);
  const expected = (channel: number): number => {
    let h = 0;
    for (let t = 0; t < length; t++) h += Math.expm1(rate[channel]!) * h + input[t * dim + channel]!;
    return h;
  };
  expect(worstOf(values, expected)).toBeLessThan(1e-5);
});

test('softplus: relative error below 4e-7, also for steps as small as 1e-37', async () => {
  for (const [low, high] of [
    [-85, -10],
    [-10, 10],
    [10, 100],
  ] as const) {
    const x = between(low, high);
    const expected = (index: number): number => (x[index]! > 20 ? x[index]! : Math.log1p(Math.exp(x[index]!)));
    expect(worstOf(await softplusOf(x), expected)).toBeLessThan(4e-7);
  }
});

test('softplus of the ends', async () => {
  const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
  expect(await softplusOf(Float32Array.of(-infinity, -200, 1e30, nan))).toEqual(Float32Array.of(0, 0, 1e30, nan));
  expect(await softplusOf(Float32Array.of(infinity))).toEqual(Float32Array.of(nan)); // exp(inf · 0) = exp(NaN), as IEEE says
});

test('silu: relative error below 4e-7', async () => {
  for (const [low, high] of [
    [-80, -4],
    [-4, 4],
    [4, 200],
  ] as const) {
    const x = between(low, high).filter((value) => value !== 0);
    expect(worstOf(await siluOf(x), (index) => x[index]! / (1 + Math.exp(-x[index]!)))).toBeLessThan(4e-7);
  }
});

test('silu of the ends', async () => {
  const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
  expect(await siluOf(Float32Array.of(0, -200, infinity, -infinity, nan))).toEqual(
    Float32Array.of(0, -0, infinity, nan, nan),
  );
});

test('exp and log of log-probabilities', async () => {
  for (const x of [0, -1e-3, -0.5, -3, -10, -15]) {
    expect(Math.abs((await logSumOf(x)) + Math.log1p(Math.exp(x)))).toBeLessThan(2e-7);
  }
  expect(await logSumOf(-200)).toBe(0);
  expect(await logSumOf(Number.NEGATIVE_INFINITY)).toBe(0);
  expect(await logSumOf(Number.NaN)).toBeNaN();
});
