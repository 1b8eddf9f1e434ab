import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { integers, readBoth, tensor } from '../../test/values.ts';
import { reference } from '../index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

describe('causalConv1d', () => {
  // The newest input is multiplied by the last weight.
  const weight = () => tensor(backend, [1, 3], [100, 10, 1]);

  it('sees nothing before the first step, and keeps the last inputs', async () => {
    const x = tensor(backend, [1, 4, 1], [1, 2, 3, 4]);
    const { y, lastState } = await readBoth(backend, backend.causalConv1d(x, weight()));
    expect(y).toEqual([1, 12, 123, 234]);
    expect(lastState).toEqual([3, 4]);
  });

  it('continues from an initial state, which may outlive an input shorter than the kernel', async () => {
    const initialState = tensor(backend, [1, 1, 2], [8, 9]);
    const { y, lastState } = await readBoth(
      backend,
      backend.causalConv1d(tensor(backend, [1, 1, 1], [1]), weight(), undefined, { initialState }),
    );
    expect(y).toEqual([891]);
    expect(lastState).toEqual([9, 1]);
    const short = await readBoth(backend, backend.causalConv1d(tensor(backend, [1, 1, 1], [5]), weight()));
    expect(short.lastState).toEqual([0, 5]);
  });

  it('adds a bias, then applies SiLU', async () => {
    const x = tensor(backend, [1, 2, 1], [1, 2]);
    const bias = tensor(backend, [1], [-12]);
    expect((await readBoth(backend, backend.causalConv1d(x, weight(), bias))).y).toEqual([-11, 0]);
    const { y } = await readBoth(backend, backend.causalConv1d(x, weight(), bias, { activation: 'silu' }));
    expect(y[0]).toBeCloseTo(-11 / (1 + Math.exp(11)), 15);
    expect(y[1]).toBe(0);
  });

  it('keeps channels and rows apart', async () => {
    const x = tensor(backend, [2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    const { y, lastState } = await readBoth(
      backend,
      backend.causalConv1d(x, tensor(backend, [2, 2], [10, 1, 0, 1]), tensor(backend, [2], [0, 1000])),
    );
    expect(y).toEqual([1, 1002, 13, 1004, 5, 1006, 57, 1008]);
    expect(lastState).toEqual([3, 4, 7, 8]);
  });

  it('resets hide earlier inputs, from the state handed on as well', async () => {
    const x = tensor(backend, [1, 4, 1], [1, Number.NaN, 3, 4]);
    const initialState = tensor(backend, [1, 1, 2], [8, 9]);
    const packed = await readBoth(
      backend,
      backend.causalConv1d(x, weight(), undefined, { initialState, resets: integers(backend, [1, 4], [0, 0, -1, 0]) }),
    );
    expect(packed.y[0]).toBe(891);
    expect(packed.y.slice(2)).toEqual([3, 34]);
    expect(packed.lastState).toEqual([3, 4]);
    const late = await readBoth(
      backend,
      backend.causalConv1d(x, weight(), undefined, { initialState, resets: integers(backend, [1, 4], [0, 0, 0, 1]) }),
    );
    expect(late.lastState).toEqual([0, 4]);
  });
});
