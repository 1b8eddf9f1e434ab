// The error bounds that shaders/lib states, by dense sampling against Math in float64, through the operations that use
// them.
import { seededWeights } from '@mamba/conformance';
import { type Activation, type Backend, createModel, modelConfig, type Tensor } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

const tensor = (shape: readonly number[], data: Iterable<number>): Tensor =>
  backend.upload({ dtype: 'float32', shape, data: Float32Array.from(data) });

const between = (low: number, high: number, count = 20_000): Float32Array =>
  Float32Array.from({ length: count }, (_, index) => low + ((high - low) * index) / (count - 1));

/** Largest relative error of single values where the right one is a normal float. */
function worstOf(values: ArrayLike<number>, expected: (index: number) => number): number {
  let worst = 0;
  for (let index = 0; index < values.length; index++) {
    const wanted = expected(index);
    if (Math.abs(wanted) < 2 ** -126) continue;
    const error = Math.abs(values[index]! - wanted) / Math.abs(wanted);
    worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }
  return worst;
}

/** silu as the convolution computes it, and as the scan's gate does. */
const SILU = {
  convolution: async (x: Float32Array) => {
    const dim = x.length;
    const weight = tensor(
      [dim, 2],
      Array.from({ length: 2 * dim }, (_, index) => index % 2),
    );
    const { y } = backend.causalConv1d(tensor([1, 1, dim], x), weight, undefined, { activation: 'silu' });
    return backend.read(y);
  },
  gate: async (x: Float32Array) => {
    const shape = [1, 1, x.length];
    const ones = tensor(shape, new Float32Array(x.length).fill(1));
    const one = tensor([1, 1, 1], [1]);
    const A = tensor([x.length, 1], new Float32Array(x.length));
    return backend.read(backend.selectiveScan(ones, ones, A, one, one, { z: tensor(shape, x) }).y);
  },
};

/** softplus(x), as d B u of the first step. */
async function softplusOf(x: Float32Array) {
  const shape = [1, 1, x.length];
  const one = tensor([1, 1, 1], [1]);
  const u = tensor(shape, new Float32Array(x.length).fill(1));
  const A = tensor([x.length, 1], new Float32Array(x.length));
  return backend.read(backend.selectiveScan(u, tensor(shape, x), A, one, one, { deltaSoftplus: true }).y);
}

describe.each(Object.keys(SILU) as (keyof typeof SILU)[])('silu of the %s', (way) => {
  test('relative error below 1e-6 from -8 on, below 1e-5 wherever the result is normal', async () => {
    for (const [low, high, bound] of [
      [-95, -80, 1e-5],
      [-80, -8, 1e-5],
      [-8, 4, 1e-6],
      [4, 200, 1e-6],
    ] as const) {
      const x = between(low, high);
      expect(worstOf(await SILU[way](x), (index) => x[index]! / (1 + Math.exp(-x[index]!)))).toBeLessThan(bound);
    }
  });

  test('the ends', async () => {
    const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
    const values = await SILU[way](Float32Array.of(-200, -1e38, infinity, -infinity, nan));
    expect([...values].map((value) => value + 0)).toEqual([0, 0, infinity, nan, nan]);
  });
});

describe.each(['gelu', 'gelu-tanh'] as const)('%s', (activation) => {
  test('relative error below 2e-6 wherever the result is normal', async () => {
    for (const [low, high] of [
      [-13.2, -8],
      [-8, -2],
      [-2, 2],
      [2, 14],
      [14, 1000],
      [-1e-30, 1e-30],
    ] as const) {
      const x = between(low, high);
      const expected = await exactly(activation, x);
      const y = await backend.read(backend.multiply(tensor([x.length], x), undefined, { activation }));
      expect(worstOf(y, (index) => expected[index]!)).toBeLessThan(2e-6);
    }
  });

  test('the ends', async () => {
    const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
    const x = tensor([8], [-15, -100, -3e38, -infinity, 100, 3e38, infinity, nan]);
    const [tiny, ...rest] = await backend.read(backend.multiply(x, undefined, { activation }));
    expect(Math.abs(tiny!)).toBeLessThan(1e-40);
    expect(rest.map((value) => value + 0)).toEqual([0, 0, nan, 100, Math.fround(3e38), infinity, nan]);
  });
});

/** The same in float64. */
async function exactly(activation: Activation, x: Float32Array) {
  const exact = await reference().create();
  const host = { dtype: 'float32', shape: [x.length], data: x } as const;
  const y = await exact.read(exact.multiply(exact.upload(host), undefined, { activation }));
  await exact.dispose();
  return y;
}

test('softplus: relative error below 1e-6, also for steps as small as 1e-37', async () => {
  for (const [low, high] of [
    [-87.3, -10],
    [-10, 10],
    [10, 100],
  ] as const) {
    const x = between(low, high);
    const expected = (index: number): number => (x[index]! > 20 ? x[index]! : Math.log1p(Math.exp(x[index]!)));
    expect(worstOf(await softplusOf(x), expected)).toBeLessThan(1e-6);
  }
});

test('softplus of the ends', async () => {
  const { NEGATIVE_INFINITY: low, NaN: nan } = Number;
  expect([...(await softplusOf(Float32Array.of(low, -200, -1e38, 1e30, nan)))]).toEqual([
    0,
    0,
    0,
    Math.fround(1e30),
    nan,
  ]);
});

test('A of NaN leaves no number, in a step of the fused model either', async () => {
  const config = modelConfig({ layers: 1, dModel: 24, vocabSize: 50 });
  const source = seededWeights(config, 7);
  const model = await createModel(backend, config, async (parameter) => {
    const host = await source(parameter);
    if (parameter.key === 'block.A') host.data[5] = Number.NaN;
    return host;
  });
  const { state, logits } = model.forward([[1]], { logits: 'last' });
  expect([...(await backend.read(logits!))].every(Number.isNaN)).toBe(true);
  state.dispose();
  logits!.dispose();
  model.dispose();
});

test('bilinear does not drift over 2^14 equal steps', async () => {
  const length = 2 ** 14;
  const rates = [0, -1e-7, -1e-6, -1e-4, -1e-3, -0.1].map(Math.fround);
  const dim = rates.length;
  const filled = (shape: readonly number[], value: number) =>
    tensor(shape, new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(value));
  const one = filled([1, length, 1], 1);
  const { lastState } = backend.selectiveScan(
    filled([1, length, dim], 0.3),
    filled([1, length, dim], 0.037),
    tensor([dim, 1], rates),
    one,
    one,
    { discretization: 'bilinear' },
  );
  const [u, d] = [Math.fround(0.3), Math.fround(0.037)];
  const expected = (channel: number): number => {
    const x = d * rates[channel]!;
    let h = 0;
    for (let t = 0; t < length; t++) h += (x * h + d * u) / (1 - x / 2);
    return h;
  };
  expect(worstOf(await backend.read(lastState), expected)).toBeLessThan(2e-6);
});
