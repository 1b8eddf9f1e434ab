/**
 * Matrices in smaller types: zeros, what is not finite, and every float16. The conformance suite checks their values,
 * products with them, and their cost in a trained model.
 */
import type { Backend, DType } from '@mamba/core';
import { float16ToNumber, numberToFloat16 } from '@mamba/core/driver';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32, relativeError, uniform } from './host.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 2 }).create();
});
afterAll(async () => {
  await backend.dispose();
});

const [OUTPUTS, INPUTS] = [37, 331];

const TYPES = ['float16', 'bfloat16', 'q8', 'q4'] as const satisfies readonly DType[];

const store = (data: Float32Array, dtype: DType) =>
  backend.upload({ dtype: 'float32', shape: [OUTPUTS, INPUTS], data }, { dtype, role: 'matrix' });

describe.each(TYPES)('%s', (dtype) => {
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
    // x goes from one end of float32 to the other, and the product scales it.
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

describe('rows that come one after another', () => {
  // The slabs have 16 rows, and the last has 3.
  const [rows, columns] = [35, 40_000];
  const data = uniform(rows * columns, 11);
  const slab = (values: Float32Array, first: number, count: number) =>
    ({
      dtype: 'float32',
      shape: [count, columns],
      data: values.subarray(first * columns, (first + count) * columns),
    }) as const;

  test.each(['float32', ...TYPES] as const)('are the whole matrix, also where the memory grows: %s', async (dtype) => {
    const fresh = await cpu({ threads: 1 }).create();
    const asked: number[] = [];
    const matrix = await fresh.uploadRows(
      {
        dtype: 'float32',
        shape: [rows, columns],
        async rows(first, count) {
          asked.push(count);
          const { reserved } = fresh.memory();
          fresh.upload({ dtype: 'float32', shape: [reserved / 4], data: new Float32Array(reserved / 4).fill(3) });
          expect(fresh.memory().reserved).toBeGreaterThan(reserved);
          return slab(data, first, count);
        },
      },
      { dtype, role: 'matrix' },
    );
    expect(asked).toEqual([16, 16, 3]);
    const whole = backend.upload(slab(data, 0, rows), { dtype, role: 'matrix' });
    expect(same(await fresh.read(matrix), await backend.read(whole))).toBe(true);
    whole.dispose();
    await fresh.dispose();
  });

  test.each([0, 20, 34])('float16 that meets what is no float16 in row %i', async (row) => {
    const values = data.map((value) => value * 8 ** -5);
    values[row * columns + 7] = -65_520;
    values[row * columns + 8] = Number.NaN;
    const options = { dtype: 'float16', role: 'matrix' } as const;
    const before = backend.memory();
    const source = { dtype: 'float32', shape: [rows, columns] } as const;
    const matrix = await backend.uploadRows({ ...source, rows: (first, count) => slab(values, first, count) }, options);
    const expected = values.map((value) => float16ToNumber(numberToFloat16(value)));
    expect(expected[row * columns + 7]).toBe(Number.NEGATIVE_INFINITY);
    expect(same(await backend.read(matrix), expected)).toBe(true);
    const whole = backend.upload(slab(values, 0, rows), options);
    expect(same(await backend.read(whole), expected)).toBe(true);
    whole.dispose();
    matrix.dispose();
    expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });
});

/** Compares large arrays, for which toEqual is slow. All NaN count as equal. */
function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  let index = 0;
  while (index < a.length && Object.is(a[index], b[index])) index++;
  return a.length === b.length && index === a.length;
}
