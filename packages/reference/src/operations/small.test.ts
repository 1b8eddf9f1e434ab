/** The small operations, compared with values that are worked out by hand. */
import type { Backend, SampleOptions } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { integers, read, tensor } from '../../test/values.ts';
import { reference } from '../index.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

describe('linear', () => {
  it('is x weightᵀ + bias over the last axis', async () => {
    const x = tensor(backend, [1, 2, 3], [1, 2, 3, 4, 5, 6]);
    const weight = tensor(backend, [2, 3], [1, 0, -1, 2, 2, 2]);
    const y = backend.linear(x, weight);
    expect(y.shape).toEqual([1, 2, 2]);
    expect(await read(backend, y)).toEqual([-2, 12, -2, 30]);
    expect(await read(backend, backend.linear(x, weight, tensor(backend, [2], [100, 200])))).toEqual([
      98, 212, 98, 230,
    ]);
  });
});

describe('rmsNorm', () => {
  it('divides by the root of the mean square plus eps', async () => {
    const x = tensor(backend, [2, 2], [3, 4, 0, 0]);
    const rms = Math.sqrt(12.5 + 0.5);
    expect(await read(backend, backend.rmsNorm(x, { eps: 0.5 }))).toEqual([3 / rms, 4 / rms, 0, 0]);
    const weighted = await read(backend, backend.rmsNorm(x, { weight: tensor(backend, [2], [10, -1]) }));
    expect(weighted[0]).toBeCloseTo(30 / Math.sqrt(12.50001), 14);
    expect(weighted[1]).toBeCloseTo(-4 / Math.sqrt(12.50001), 14);
  });

  it('gives NaN for 0 / 0 where eps is 0', async () => {
    expect(await read(backend, backend.rmsNorm(tensor(backend, [1], [0]), { eps: 0 }))).toEqual([nan]);
  });
});

describe('layerNorm', () => {
  it('takes the mean off and divides by the root of the biased variance plus eps', async () => {
    // The differences from the mean are -2, 0 and 2; the variance is 8 / 3.
    const x = tensor(backend, [2, 3], [1, 3, 5, 7, 7, 7]);
    const root = Math.sqrt(8 / 3 + 0.5);
    expect(await read(backend, backend.layerNorm(x, { eps: 0.5 }))).toEqual([-2 / root, 0, 2 / root, 0, 0, 0]);
    const weight = tensor(backend, [3], [10, 1, -1]);
    const bias = tensor(backend, [3], [0.5, -3, 0]);
    const normed = 2 / Math.sqrt(8 / 3 + 1e-5);
    const expected = [-10 * normed + 0.5, -3, -normed, 0.5, -3, 0];
    for (const [index, value] of (await read(backend, backend.layerNorm(x, { weight, bias }))).entries())
      expect(value).toBeCloseTo(expected[index]!, 14);
    expect((await read(backend, backend.layerNorm(x, { bias }))).slice(3)).toEqual([0.5, -3, 0]);
  });

  it('keeps a deviation that is small beside its mean', async () => {
    const [low, high] = await read(backend, backend.layerNorm(tensor(backend, [2], [1e12, 1e12 + 2]), { eps: 0 }));
    expect([low, high]).toEqual([-1, 1]);
  });

  it('gives NaN for 0 / 0 where eps is 0, and for a row that is not finite', async () => {
    expect(await read(backend, backend.layerNorm(tensor(backend, [2], [5, 5]), { eps: 0 }))).toEqual([nan, nan]);
    const x = tensor(backend, [3, 2], [1, inf, nan, 1, 1, 3]);
    const y = await read(backend, backend.layerNorm(x, { eps: 0 }));
    expect(y).toEqual([nan, nan, nan, nan, -1, 1]);
  });
});

describe('embedding', () => {
  it('gathers rows of a table', async () => {
    const table = tensor(backend, [3, 2], [1, 2, 3, 4, 5, 6]);
    const y = backend.embedding(table, integers(backend, [2, 2], [2, 0, 1, 2]));
    expect(y.shape).toEqual([2, 2, 2]);
    expect(await read(backend, y)).toEqual([5, 6, 1, 2, 3, 4, 5, 6]);
  });
});

describe('add', () => {
  it('adds, and NaN and infinity flow', async () => {
    const a = tensor(backend, [2, 2], [1, 2, inf, inf]);
    expect(await read(backend, backend.add(a, tensor(backend, [2, 2], [10, nan, 1, -inf])))).toEqual([
      11,
      nan,
      inf,
      nan,
    ]);
  });
});

describe('multiply', () => {
  it('is the product of two tensors and a number, any of which may be absent', async () => {
    const a = tensor(backend, [2, 2], [1, -2, 3, 0]);
    const b = tensor(backend, [2, 2], [10, 20, -30, nan]);
    expect(await read(backend, backend.multiply(a, b))).toEqual([10, -40, -90, nan]);
    expect(await read(backend, backend.multiply(a, b, { scale: -0.5 }))).toEqual([-5, 20, 45, nan]);
    expect(await read(backend, backend.multiply(a, undefined, { scale: 4 }))).toEqual([4, -8, 12, 0]);
    expect(await read(backend, backend.multiply(a, b, { activation: 'relu2', scale: 2 }))).toEqual([20, 0, -540, nan]);
  });

  // x, gelu(x) and gelu-tanh(x), computed with 40 digits.
  const KNOWN = [
    [-37, -2.1184613523340935e-298, -0],
    [-11, -2.1017255319485433e-27, -1.4847686071591453e-48],
    [-26, -6.437764620308812e-148, -0.0],
    [-13, -7.952313719414843e-38, -1.0511517767632614e-76],
    [-8.5, -8.05760459887282e-17, -1.017444730859832e-24],
    [-5, -1.4332578593959695e-6, -2.291796196629507e-7],
    [-3, -0.0040496940948902835, -0.003637392081773019],
    [-2, -0.04550026389635842, -0.04540230591222498],
    [-1, -0.15865525393145705, -0.1588080093917233],
    [-0.5, -0.15426876936299344, -0.15428599017485609],
    [-0.125, -0.056282721896235885, -0.05628280137577661],
    [-1e-9, -4.999999996010577e-10, -4.999999996010577e-10],
    [0.25, 0.14967658142073093, 0.149675350701685],
    [1, 0.8413447460685429, 0.8411919906082767],
    [3, 2.99595030590511, 2.996362607918227],
    [6, 5.999999994080474, 5.9999999999156035],
    [20, 20.0, 20.0],
  ] as const;
  it.each(KNOWN)('gelu of %d keeps its relative precision', async (x, exact, byTanh) => {
    const a = tensor(backend, [1], [x]);
    const relative = (given: number, wanted: number) => Math.abs(given - wanted) / Math.abs(wanted);
    const [gelu] = await read(backend, backend.multiply(a, undefined, { activation: 'gelu' }));
    expect(relative(gelu!, exact)).toBeLessThan(2e-15);
    const [tanh] = await read(backend, backend.multiply(a, undefined, { activation: 'gelu-tanh' }));
    expect(byTanh === 0 ? Math.abs(tanh!) : relative(tanh!, byTanh)).toBeLessThan(2e-13);
  });

  it('takes each activation to its ends as its formula does', async () => {
    const a = tensor(backend, [5], [0, -1e300, -inf, inf, nan]);
    for (const activation of ['silu', 'gelu', 'gelu-tanh'] as const)
      expect(await read(backend, backend.multiply(a, undefined, { activation }))).toEqual([0, -0, nan, inf, nan]);
    expect(await read(backend, backend.multiply(a, undefined, { activation: 'relu2' }))).toEqual([0, 0, 0, inf, nan]);
    expect(await read(backend, backend.multiply(a, undefined, { activation: 'sigmoid' }))).toEqual([0.5, 0, 0, 1, nan]);
    expect(await read(backend, backend.multiply(a, undefined, { activation: 'tanh' }))).toEqual([0, -1, -1, 1, nan]);
    const elu = backend.multiply(a, undefined, { activation: 'elu-plus-one' });
    expect(await read(backend, elu)).toEqual([1, 0, 0, inf, nan]);
    const reciprocal = backend.multiply(a, undefined, { activation: 'reciprocal' });
    expect(await read(backend, reciprocal)).toEqual([inf, -1e-300, -0, 0, nan]);
  });
});

describe('slice and concat', () => {
  const cube = () => tensor(backend, [2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

  it.each([
    { axis: 0, start: 1, end: 2, expected: [6, 7, 8, 9, 10, 11] },
    { axis: 1, start: 1, end: 3, expected: [2, 3, 4, 5, 8, 9, 10, 11] },
    { axis: 2, start: 0, end: 1, expected: [0, 2, 4, 6, 8, 10] },
  ])('slices axis $axis from $start to $end, and concat undoes it', async ({ axis, start, end, expected }) => {
    const x = cube();
    const part = backend.slice(x, axis, start, end);
    expect(part.shape).toEqual([2, 3, 2].with(axis, end - start));
    expect(await read(backend, part)).toEqual(expected);
    const extent = [2, 3, 2][axis]!;
    const parts = [
      ...(start > 0 ? [backend.slice(x, axis, 0, start)] : []),
      part,
      ...(end < extent ? [backend.slice(x, axis, end, extent)] : []),
    ];
    const whole = backend.concat(parts, axis);
    expect(whole.shape).toEqual([2, 3, 2]);
    expect(await read(backend, whole)).toEqual(await read(backend, x));
  });

  it('take int32 as well, keeping the range of ids', async () => {
    const a = integers(backend, [1, 3], [5, 1, 7]);
    const b = integers(backend, [1, 1], [9]);
    const joined = backend.concat([a, b], 1);
    expect(joined.dtype).toBe('int32');
    expect(joined.range).toEqual({ min: 1, max: 9 });
    expect(await backend.read(joined)).toEqual(new Int32Array([5, 1, 7, 9]));
    expect(await backend.read(backend.slice(joined, 1, 1, 3))).toEqual(new Int32Array([1, 7]));
  });
});

describe('a checked choice', () => {
  it('is -1 where no token follows, and embeds as NaN', async () => {
    const rows = [
      [nan, 1, 2],
      [1, inf, 2],
      [-inf, -inf, -inf],
      [-1, 1, 0],
      [-inf, 1, 0],
    ];
    const logits = tensor(backend, [5, 3], rows.flat());
    const uniform = tensor(backend, [5], new Array(5).fill(0));
    const ids = backend.argmax(logits, { checked: true });
    expect([...(await backend.read(ids))]).toEqual([-1, -1, -1, 1, -1]);
    expect([...(await backend.read(backend.sample(logits, uniform, { checked: true })))]).toEqual([-1, -1, -1, 0, -1]);
    expect([...(await backend.read(backend.argmax(logits)))]).toEqual([2, 1, 0, 1, 1]);
    const table = tensor(backend, [3, 1], [5, 6, 7]);
    expect([...(await backend.read(backend.embedding(table, ids)))]).toEqual([nan, nan, nan, 6, nan]);
  });
});

describe('argmax', () => {
  it('takes the lowest index of a tie, and NaN for the smallest', async () => {
    const logits = [
      [1, 3, 3],
      [nan, -inf, -inf],
      [nan, nan, nan],
      [5, nan, 4],
      [-inf, nan, inf],
    ];
    const ids = backend.argmax(tensor(backend, [5, 3], logits.flat()));
    expect(ids).toMatchObject({ shape: [5], dtype: 'int32', range: { min: 0, max: 2 } });
    expect(await read(backend, ids)).toEqual([1, 1, 0, 0, 2]);
  });
});

describe('sample', () => {
  /** The ids drawn for each uniform number from one row of probabilities. */
  async function draw(probabilities: readonly number[], uniforms: readonly number[], options?: SampleOptions) {
    const logits = uniforms.flatMap(() => probabilities.map(Math.log));
    return read(
      backend,
      backend.sample(
        tensor(backend, [uniforms.length, probabilities.length], logits),
        tensor(backend, [uniforms.length], uniforms),
        options,
      ),
    );
  }
  const p = [0.1, 0.5, 0.25, 0.15];

  it('inverts the cumulative distribution in index order', async () => {
    expect(await draw(p, [0, 0.09, 0.11, 0.59, 0.61, 0.84, 0.86, 0.999])).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  it('temperature 0 is argmax, a low one comes close, a high one is uniform', async () => {
    expect(await draw(p, [0, 0.5, 0.999], { temperature: 0 })).toEqual([1, 1, 1]);
    expect(await draw(p, [0.001, 0.999], { temperature: 1e-3 })).toEqual([1, 1]);
    expect(await draw(p, [0.1, 0.3, 0.6, 0.9], { temperature: 1e9 })).toEqual([0, 1, 2, 3]);
  });

  it('topK keeps the likeliest, the lowest index of a tie', async () => {
    expect(await draw(p, [0, 0.66, 0.67, 0.999], { topK: 2 })).toEqual([1, 1, 2, 2]);
    expect(await draw([0.25, 0.25, 0.25, 0.25], [0, 0.49, 0.51, 0.999], { topK: 2 })).toEqual([0, 0, 1, 1]);
    expect(await draw(p, [0, 0.999], { topK: 99 })).toEqual([0, 3]);
  });

  it('topP keeps the shortest prefix in order of likelihood that reaches it, at least one', async () => {
    expect(await draw(p, [0, 0.66, 0.67, 0.999], { topP: 0.7 })).toEqual([1, 1, 2, 2]);
    expect(await draw(p, [0, 0.999], { topP: 0 })).toEqual([1, 1]);
    expect(await draw(p, [0.999], { topP: 0.4 })).toEqual([1]);
  });

  it('topP is a share of what topK left', async () => {
    // Of 0.5 and 0.25, the first is two thirds of the sum: it reaches 0.6 alone, and does not reach 0.7.
    expect(await draw(p, [0.999], { topK: 2, topP: 0.6 })).toEqual([1]);
    expect(await draw(p, [0.999], { topK: 2, topP: 0.7 })).toEqual([2]);
  });

  it('minP drops what is unlikely next to the likeliest', async () => {
    expect(await draw(p, [0, 0.999], { minP: 0.4 })).toEqual([1, 2]);
    expect(await draw(p, [0, 0.999], { minP: 1 })).toEqual([1, 1]);
  });

  it('never draws an impossible token, and always one of the vocabulary', async () => {
    expect(await draw([0, 1, 0], [0, 0.5, 1 - 2 ** -53])).toEqual([1, 1, 1]);
    const rows = [
      [nan, nan, nan],
      [-inf, -inf, -inf],
      [1, inf, nan],
      [nan, 2, nan],
    ];
    const ids = backend.sample(tensor(backend, [4, 3], rows.flat()), tensor(backend, [4], [0.9, 0.9, 0.9, 0.9]));
    expect(await read(backend, ids)).toEqual([0, 0, 1, 1]);
  });

  it('takes logits of any size', async () => {
    const logits = tensor(backend, [1, 2], [1e308, 1e308]);
    expect(await read(backend, backend.sample(logits, tensor(backend, [1], [0.6]), { temperature: 1e-3 }))).toEqual([
      1,
    ]);
  });
});

describe('logProb', () => {
  it('is the log-softmax at one token', async () => {
    const logits = tensor(backend, [2, 3], [0, 0, 0, 1000, 1001, -inf]);
    const y = await read(backend, backend.logProb(logits, integers(backend, [2], [2, 0])));
    expect(y[0]).toBeCloseTo(-Math.log(3), 15);
    expect(y[1]).toBeCloseTo(-1 - Math.log1p(Math.exp(-1)), 15);
    const impossible = await read(backend, backend.logProb(logits, integers(backend, [2], [0, 2])));
    expect(impossible[1]).toBe(-inf);
  });

  it('is NaN for a row that holds one', async () => {
    const logits = tensor(backend, [1, 2], [nan, 0]);
    expect(await read(backend, backend.logProb(logits, integers(backend, [1], [1])))).toEqual([nan]);
  });
});
