/** Systems that have another form: what materialises, what is in tiles, and what the equations say. */
import type { Backend, Shape, Tensor } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { naiveAttention, orthogonalProjection, performer, retention, stridedAttention } from '../src/index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 1 }).create();
});
afterAll(() => backend.dispose());

/** Values that differ by `seed`, of about 1. */
function values(shape: Shape, seed: number): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const data = Float32Array.from({ length: size }, (_, index) => Math.sin(1.3 * seed + 0.7 * index * (1 + seed)));
  return backend.upload({ dtype: 'float32', shape, data });
}

function inputs(length: number, headDim = 6): readonly [q: Tensor, k: Tensor, v: Tensor] {
  const shape = [2, length, 3, headDim];
  return [values(shape, 1), values(shape, 2), values(shape, 3)];
}

async function expectClose(actual: Tensor, expected: Tensor | Float64Array): Promise<void> {
  const [ours, theirs] = [await backend.read(actual), 'shape' in expected ? await backend.read(expected) : expected];
  expect(ours).toHaveLength(theirs.length);
  const errors = Array.from(ours, (value, index) => Math.abs(value - theirs[index]!));
  expect(Math.max(...errors)).toBeLessThan(1e-5 * Math.max(...Array.from(theirs, Math.abs)));
}

test.each([true, false])('causal %s: the attention that materialises is the one in tiles', async (causal) => {
  const [q, k, v] = inputs(37);
  await expectClose(naiveAttention(backend, q, k, v, { causal }), backend.attention(q, k, v, { causal }).y);
});

test('one takes memory that is quadratic in length, the other memory that is linear', () => {
  const [short, long] = [128, 512].map((length) => {
    const [q, k, v] = inputs(length);
    const naive = backend.peakBytes(() => naiveAttention(backend, q, k, v).dispose());
    const tiled = backend.peakBytes(() => {
      const { y, logSumExp } = backend.attention(q, k, v);
      y.dispose();
      logSumExp.dispose();
    });
    return { naive, tiled };
  }) as [{ naive: number; tiled: number }, { naive: number; tiled: number }];
  expect(long.tiled / short.tiled).toBeLessThan(4.5);
  expect(long.naive / short.naive).toBeGreaterThan(10);
  // The matrix of scores of all rows and heads, at least.
  expect(long.naive).toBeGreaterThan(4 * 2 * 3 * 512 * 512);
});

test('the strided pattern is the mask of its remainders', async () => {
  const [q, k, v] = inputs(20);
  const visible = (_: number, i: number, j: number): boolean => (i - j) % 3 === 0;
  await expectClose(stridedAttention(backend, q, k, v, { stride: 3 }), naiveAttention(backend, q, k, v, { visible }));
});

test('retention is its parallel form', async () => {
  const [length, headDim] = [23, 6];
  const [q, k, v] = inputs(length, headDim);
  const gammas = [0.9, 0.97, 0.5];
  const logs = backend.upload({ dtype: 'float32', shape: [3], data: Float32Array.from(gammas, Math.log) });
  const { y } = retention(backend, q, k, v, logs, { scale: 0.3 });
  const [ofQ, ofK, ofV] = await Promise.all([q, k, v].map((tensor) => backend.read(tensor)));
  const at = (row: number, t: number, head: number): number => ((row * length + t) * 3 + head) * headDim;
  const expected = new Float64Array(2 * length * 3 * headDim);
  for (let row = 0; row < 2; row++) {
    for (const [head, gamma] of gammas.entries()) {
      for (let i = 0; i < length; i++) {
        for (let j = 0; j <= i; j++) {
          let score = 0;
          for (let c = 0; c < headDim; c++) score += ofQ![at(row, i, head) + c]! * ofK![at(row, j, head) + c]!;
          const weight = 0.3 * score * gamma ** (i - j);
          for (let c = 0; c < headDim; c++) expected[at(row, i, head) + c]! += weight * ofV![at(row, j, head) + c]!;
        }
      }
    }
  }
  await expectClose(y, expected);
});

test('a projection is orthogonal in groups, and the same for the same seed', () => {
  const [features, headDim] = [10, 4];
  const rows = orthogonalProjection(features, headDim, 7);
  expect(orthogonalProjection(features, headDim, 7)).toEqual(rows);
  expect(orthogonalProjection(features, headDim, 8)).not.toEqual(rows);
  for (let a = 0; a < features; a++) {
    for (let b = a + 1; b < Math.min(features, (Math.floor(a / headDim) + 1) * headDim); b++) {
      let dot = 0;
      for (let c = 0; c < headDim; c++) dot += rows[a * headDim + c]! * rows[b * headDim + c]!;
      expect(Math.abs(dot)).toBeLessThan(1e-5);
    }
  }
});

test('Performer approximates softmax attention, the better the more features there are', async () => {
  const [q, k, v] = inputs(16, 4);
  const exact = await backend.read(naiveAttention(backend, q, k, v));
  const errorOf = async (features: number): Promise<number> => {
    const data = orthogonalProjection(features, 4, 3);
    const projection = backend.upload({ dtype: 'float32', shape: [features, 4], data });
    const approximate = await backend.read(performer(backend, q, k, v, projection).y);
    return Math.hypot(...approximate.map((value, index) => value - exact[index]!)) / Math.hypot(...exact);
  };
  const many = await errorOf(2048);
  expect(many).toBeLessThan(0.06);
  expect(many).toBeLessThan((await errorOf(16)) / 2);
});
