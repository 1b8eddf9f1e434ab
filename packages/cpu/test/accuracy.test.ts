/**
 * The error bounds that assembly/lib states, by dense sampling against Math in float64, through the operations that use
 * them.
 */
import type { Backend, Discretization, Tensor } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32, int32, worstOf } from './host.ts';

const COUNT = 60_000;
let backend: Backend;

beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(async () => {
  await backend.dispose();
});

const between = (low: number, high: number): Float32Array =>
  Float32Array.from({ length: COUNT }, (_, index) => low + ((high - low) * index) / (COUNT - 1));

/**
 * The scan's ways: several steps run in blocks of channels. A single step runs in vectors of states, or the careful way
 * where their number is no multiple of 4.
 */
const WAYS = [
  { way: 'blocks', length: 2, states: 1 },
  { way: 'one step', length: 1, states: 4 },
  { way: 'one careful step', length: 1, states: 1 },
] as const;
type Way = (typeof WAYS)[number];

/**
 * exp(delta A) of each channel: its first state is 1 and has no input, so this is its value after one step. The other
 * states only fill vectors.
 */
async function decayOf({ length, states }: Way, delta: Float32Array, A: Float32Array): Promise<Float32Array> {
  const dim = delta.length;
  const steps = new Float32Array(length * dim);
  steps.set(delta);
  const first = new Float32Array(length * states);
  first[0] = 1;
  const C = float32(backend, [1, length, states], first);
  const { y } = backend.selectiveScan(
    float32(backend, [1, length, dim], new Float32Array(length * dim)),
    float32(backend, [1, length, dim], steps),
    float32(
      backend,
      [dim, states],
      Float32Array.from({ length: dim * states }, (_, at) => (at % states === 0 ? A[at / states]! : -1)),
    ),
    C,
    C,
    { initialState: float32(backend, [1, dim, states], new Float32Array(dim * states).fill(1)) },
  );
  return ((await backend.read(y)) as Float32Array).slice(0, dim);
}

/** exp(x), by delta = |x| and A = ±1. */
const expOf = (way: Way, x: Float32Array) => decayOf(way, x.map(Math.abs), x.map(Math.sign));

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

describe.each(WAYS)('exp of the scan, $way', (way) => {
  test.each([
    [-1, 0],
    [-87, 0],
    [0, 1],
    [0, 88],
  ])('from %i to %i', async (low, high) => {
    const x = between(low, high);
    const y = await expOf(way, x);
    const worst = y.reduce((most, value, index) => {
      const wanted = Math.exp(x[index]!);
      return Math.max(most, Math.abs(value - wanted) / wanted / bound(x[index]!));
    }, 0);
    expect(worst).toBeLessThan(1);
  });

  test('2^x for the x that it is given: relative error below 2e-7 over all normal results', async () => {
    // The kernel's own x, d times A log2(e) rounded, is known here, so this is the error of 2^x alone.
    const A = Math.fround(-Math.LN2);
    const exponent = Math.fround(A * Math.fround(Math.LOG2E));
    const delta = Float32Array.from({ length: 512 * 126 }, (_, index) => index / 512);
    const values = await decayOf(way, delta, new Float32Array(delta.length).fill(A));
    expect(worstOf(values, (index) => 2 ** Math.fround(delta[index]! * exponent))).toBeLessThan(2e-7);
  });

  test('what is far below 2^-126 is 0, what is above 2^128 infinite, NaN stays', async () => {
    const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
    // The large values are in A, since an infinite delta times the input 0 would be NaN already.
    const one = new Float32Array(4).fill(1);
    expect(await decayOf(way, one, Float32Array.of(-120, -1000, -1e30, -infinity))).toEqual(new Float32Array(4));
    expect(await decayOf(way, one, Float32Array.of(89, 1000, infinity, nan))).toEqual(
      Float32Array.of(infinity, infinity, infinity, nan),
    );
  });
});

/**
 * Rates of all sizes, which are tested together in one block of channels, and each in a block of its own. Roundings of
 * equal steps add up for as long as a state remembers.
 */
const RATES = [0, -1e-9, -1e-7, -1e-6, -1e-5, -1e-4, -1e-3, -0.004, -0.01, -0.03, -0.1, -0.3, -1, -4, -30];
const LENGTH = 2 ** 16;

/** Returns the state after each step, for constant u, delta and B. */
function constantSystem(kind: Discretization, A: number, d: number, u: number): Float64Array {
  const x = d * A;
  const decay = kind === 'bilinear' ? x / (1 - x / 2) : Math.expm1(x);
  const input = { euler: d, zoh: A === 0 ? d : Math.expm1(x) / A, bilinear: d / (1 - x / 2) }[kind] * u;
  const states = new Float64Array(LENGTH);
  let h = 0;
  for (let t = 0; t < LENGTH; t++) {
    h += decay * h + input;
    states[t] = h;
  }
  return states;
}

describe.each(['euler', 'zoh', 'bilinear'] as const)('no drift over 2^16 equal steps, %s', (discretization) => {
  test.each([
    { rates: RATES, chunk: LENGTH, blocks: 'mixed blocks' },
    { rates: RATES.flatMap((rate) => new Array<number>(8).fill(rate)), chunk: LENGTH, blocks: 'blocks of one rate' },
    { rates: RATES, chunk: 1024, blocks: 'mixed blocks, in 64 calls' },
  ])('$blocks', async ({ rates, chunk }) => {
    const [dim, states] = [rates.length, 3];
    for (const [step, u] of [
      [0.1, 1],
      [1, 1],
      [0.037, 0.3],
    ] as const) {
      const fill = (shape: readonly number[], value: number) =>
        float32(backend, shape, new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(value));
      const A = float32(
        backend,
        [dim, states],
        rates.flatMap((rate) => new Array<number>(states).fill(rate)),
      );
      const [inputs, delta] = [fill([1, chunk, dim], u), fill([1, chunk, dim], step)];
      const B = fill([1, chunk, states], 1);
      // y is the last state, which is the odd one, or the first of a pair.
      const C = float32(
        backend,
        [1, chunk, states],
        Float32Array.from({ length: chunk * states }, (_, at) => (at % states === (u === 1 ? 0 : 2) ? 1 : 0)),
      );
      const expected = rates.map((rate) =>
        constantSystem(discretization, Math.fround(rate), Math.fround(step), Math.fround(u)),
      );
      const worst = new Float64Array(dim);
      let initialState: Tensor | undefined;
      for (let start = 0; start < LENGTH; start += chunk) {
        const { y, lastState } = backend.selectiveScan(inputs, delta, A, B, C, { discretization, initialState });
        const values = await backend.read(y);
        for (let t = 0; t < chunk; t++) {
          for (let channel = 0; channel < dim; channel++) {
            const error = Math.abs(values[t * dim + channel]! - expected[channel]![start + t]!);
            worst[channel] = Math.max(worst[channel]!, error);
          }
        }
        y.dispose();
        initialState?.dispose();
        initialState = lastState;
      }
      const relative = [...worst].map((error, channel) => error / Math.abs(expected[channel]!.at(-1)!));
      expect(Math.max(...relative)).toBeLessThan(5e-6);
      for (const tensor of [A, inputs, delta, B, C, initialState!]) tensor.dispose();
    }
  });
});

test.each([1, 3])('zoh with A from 0 over subnormal to small, %i steps: the input keeps its weight', async (length) => {
  const rates = [0, -1.4e-45, -4.2e-45, -1e-42, -3e-39, -1.2e-38, -1e-30, -1e-9, -1e-3];
  const dim = rates.length;
  for (const step of [1e-3, 1, 37]) {
    const one = float32(backend, [1, length, 1], new Float32Array(length).fill(1));
    const { lastState } = backend.selectiveScan(
      float32(backend, [1, length, dim], new Float32Array(length * dim).fill(1)),
      float32(backend, [1, length, dim], new Float32Array(length * dim).fill(step)),
      float32(backend, [dim, 1], rates),
      one,
      one,
      { discretization: 'zoh' },
    );
    const [d, A] = [Math.fround(step), rates.map(Math.fround)];
    const expected = (channel: number): number => {
      const input = A[channel] === 0 ? d : Math.expm1(d * A[channel]!) / A[channel]!;
      let h = 0;
      for (let t = 0; t < length; t++) h = Math.exp(d * A[channel]!) * h + input;
      return h;
    };
    expect(worstOf(await backend.read(lastState), expected)).toBeLessThan(4e-7);
  }
});

test('softplus: relative error below 4e-7, also for steps as small as 1e-37', async () => {
  for (const [low, high] of [
    [-87.3, -10],
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
  // exp(infinity · 0) is exp(NaN), as IEEE says.
  expect(await softplusOf(Float32Array.of(infinity))).toEqual(Float32Array.of(nan));
});

test('silu: relative error below 4e-7', async () => {
  for (const [low, high] of [
    // Still normal, where exp(-x) is infinite already.
    [-91.85, -80],
    [-80, -4],
    [-4, 4],
    [4, 200],
  ] as const) {
    const x = between(low, high).filter((value) => value !== 0);
    expect(worstOf(await siluOf(x), (index) => x[index]! / (1 + Math.exp(-x[index]!)))).toBeLessThan(4e-7);
  }
});

/** The probability of a normal number below x, by a continued fraction where it is small, and otherwise by a series. */
function normalBelow(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x <= -2) {
    let rest = -x;
    for (let k = 200; k > 0; k--) rest = -x + k / rest;
    return density / rest;
  }
  let [term, sum] = [x, 0];
  for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return 0.5 + density * sum;
}

const GELUS = {
  gelu: (x: number) => (x > 15 ? x : x * normalBelow(x)),
  'gelu-tanh': (x: number) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
} as const;

/** The largest relative error of single results whose right value is a normal float. */
async function worstOfActivation(activation: keyof typeof GELUS, x: Float32Array): Promise<number> {
  const normal = x.filter((value) => Math.abs(GELUS[activation](value)) >= 2 ** -126);
  const y = backend.multiply(float32(backend, [normal.length], normal), undefined, { activation });
  return worstOf(await backend.read(y), (index) => GELUS[activation](normal[index]!));
}

test('gelu: relative error below 6e-7, also where the result is tiny', async () => {
  for (const [low, high] of [
    [-13.2, -10],
    [-10, -2],
    [-2, 2],
    [2, 14],
    [14, 1000],
    [-1e-30, 1e-30],
  ] as const)
    expect(await worstOfActivation('gelu', between(low, high))).toBeLessThan(6e-7);
});

test('gelu-tanh: relative error below 3e-7, also where the result is tiny', async () => {
  for (const [low, high] of [
    [-10.2, -8],
    [-8, -2],
    [-2, 2],
    [2, 14],
    [14, 1000],
    [-1e-30, 1e-30],
  ] as const)
    expect(await worstOfActivation('gelu-tanh', between(low, high))).toBeLessThan(3e-7);
});

test.each(['silu', 'gelu', 'gelu-tanh'] as const)('%s of what is huge', async (activation) => {
  const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
  const x = float32(backend, [9], [-15, -100, -1e10, -3e38, -infinity, 100, 3e38, infinity, nan]);
  const [tiny, ...rest] = await backend.read(backend.multiply(x, undefined, { activation }));
  expect(Math.abs(tiny!)).toBeLessThan(5e-6);
  const huge = Math.fround(3e38);
  expect(rest.map((value) => value + 0)).toEqual([0, 0, 0, nan, 100, huge, infinity, nan]);
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

test.each([0.3, 5, 12, 20])('log-probabilities of a large vocabulary with one peak of %f', async (lead) => {
  // The logits are equal, so every rounding of a long sum goes the same way.
  const [vocab, at] = [151_936, 7];
  const logits = new Float32Array(vocab).with(at, lead);
  const tensor = float32(backend, [1, vocab], logits);
  const rest = Math.log1p((vocab - 1) * Math.exp(-Math.fround(lead)));
  for (const [id, expected] of [
    [at, -rest],
    [100, -Math.fround(lead) - rest],
  ] as const) {
    const [value] = await backend.read(backend.logProb(tensor, int32(backend, [1], [id])));
    expect(Math.abs(value! - expected) / Math.abs(expected)).toBeLessThan(3e-7);
  }
  tensor.dispose();
});
