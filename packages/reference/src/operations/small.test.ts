/** The small operations against values worked out by hand. */
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
    // Of 0.5 and 0.25, the first has two thirds: 0.6 is reached by it alone, 0.7 is not.
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
