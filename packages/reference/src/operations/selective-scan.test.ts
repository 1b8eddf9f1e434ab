import type { Backend, Discretization, SelectiveScanOptions, Tensor } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { integers, read, readBoth, tensor } from '../../test/values.ts';
import { reference } from '../index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

/** Runs a scan of one channel and one state over the steps of u, with constant delta, A, B and C. */
function scalarScan(
  u: readonly number[],
  { delta = 0.5, A = -1, B = 1, C = 1 }: { delta?: number; A?: number; B?: number; C?: number } = {},
  options: SelectiveScanOptions<Tensor> = {},
) {
  const sequence = (value: number) => tensor(backend, [1, u.length, 1], new Array<number>(u.length).fill(value));
  return readBoth(
    backend,
    backend.selectiveScan(
      tensor(backend, [1, u.length, 1], u),
      sequence(delta),
      tensor(backend, [1, 1], [A]),
      sequence(B),
      sequence(C),
      options,
    ),
  );
}

describe('the recurrence', () => {
  it('euler: Abar = exp(dA), Bbar = dB', async () => {
    const { y, lastState } = await scalarScan([1, 2], { delta: 0.5, A: -2, B: 3, C: 10 });
    const [h0, h1] = [1.5, Math.exp(-1) * 1.5 + 3];
    expect(y).toEqual([10 * h0, 10 * h1]);
    expect(lastState).toEqual([h1]);
  });

  it('zoh: Bbar = expm1(dA) / A B', async () => {
    const { y } = await scalarScan([1, 2], { delta: 0.5, A: -2, B: 3 }, { discretization: 'zoh' });
    const Bbar = (-Math.expm1(-1) / 2) * 3;
    expect(y[0]).toBeCloseTo(Bbar, 15);
    expect(y[1]).toBeCloseTo(Math.exp(-1) * Bbar + 2 * Bbar, 15);
  });

  it('zoh where A is 0, and as A goes to 0: Bbar = dB, h only adds up', async () => {
    expect((await scalarScan([1, 2, 3], { A: 0, B: 4 }, { discretization: 'zoh' })).y).toEqual([2, 6, 12]);
    const tiny = await scalarScan([1, 2, 3], { A: -1e-30, B: 4 }, { discretization: 'zoh' });
    expect(tiny.y).toEqual([2, 6, 12]);
  });

  it('bilinear: Abar = (1 + dA/2) / (1 - dA/2), Bbar = dB / (1 - dA/2)', async () => {
    const { y } = await scalarScan([1, 2], { delta: 0.5, A: -2, B: 3 }, { discretization: 'bilinear' });
    expect(y).toEqual([1, (1 / 3) * 1 + 2]);
  });

  it('reads group floor(channel / (dim / groups)), not channel mod groups', async () => {
    const ones = (...shape: number[]) => tensor(backend, shape, new Array(shape.reduce((a, b) => a * b)).fill(1));
    const B = tensor(backend, [1, 1, 2, 1], [1, 100]);
    const { y } = backend.selectiveScan(ones(1, 1, 4), ones(1, 1, 4), ones(4, 1), B, ones(1, 1, 2, 1));
    expect(await read(backend, y)).toEqual([1, 1, 100, 100]);
  });

  it('takes B and C without a group axis, and constant ones for each channel', async () => {
    const ones = (...shape: number[]) => tensor(backend, shape, new Array(shape.reduce((a, b) => a * b)).fill(1));
    const call = (B: Tensor, C: Tensor) =>
      readBoth(
        backend,
        backend.selectiveScan(ones(1, 2, 2), ones(1, 2, 2), tensor(backend, [2, 2], [0, 0, 0, 0]), B, C),
      );
    expect((await call(tensor(backend, [1, 2, 2], [1, 2, 3, 4]), ones(1, 2, 2))).y).toEqual([3, 3, 10, 10]);
    const constant = await call(tensor(backend, [2, 2], [1, 2, 3, 4]), tensor(backend, [2, 2], [1, 0, 0, 1]));
    expect(constant.y).toEqual([1, 4, 2, 8]);
    expect(constant.lastState).toEqual([2, 4, 6, 8]);
  });
});

describe('options', () => {
  it('D adds D u, before the gate', async () => {
    const { y } = await scalarScan(
      [3],
      { delta: 1 },
      { D: tensor(backend, [1], [10]), z: tensor(backend, [1, 1, 1], [1]) },
    );
    expect(y[0]).toBeCloseTo((3 + 30) / (1 + Math.exp(-1)), 14);
  });

  it('deltaBias is added before softplus, and softplus is the identity above 20', async () => {
    const bias = (value: number) => ({ deltaBias: tensor(backend, [1], [value]), deltaSoftplus: true });
    expect((await scalarScan([1], { delta: 1 }, bias(-1))).y).toEqual([Math.LN2]);
    expect((await scalarScan([1], { delta: 1 }, bias(19.5))).y).toEqual([20.5]);
    expect((await scalarScan([1], { delta: 1 }, bias(19))).y).toEqual([Math.log1p(Math.exp(20))]);
    expect((await scalarScan([1], { delta: 900 }, bias(1))).y).toEqual([901]);
    // log1p keeps small steps, which log(1 + exp x) would round to zero.
    expect((await scalarScan([1], { delta: -50 }, bias(0))).y).toEqual([Math.exp(-50)]);
  });

  it('the gate is stable for |z| large', async () => {
    const gate = async (z: number) =>
      (await scalarScan([1], { delta: 1 }, { z: tensor(backend, [1, 1, 1], [z]) })).y[0]!;
    expect(await gate(1000)).toBe(1000);
    expect(Math.abs(await gate(-1000))).toBe(0);
    // exp(-z) overflows here, while the gate is still a subnormal number.
    expect(await gate(-720)).toBe(-720 * Math.exp(-720));
  });

  it('initialState decays from the first step on', async () => {
    const initialState = tensor(backend, [1, 1, 1], [8]);
    const { y, lastState } = await scalarScan([0, 0], { A: -Math.LN2, delta: 1 }, { initialState });
    expect(y[0]).toBeCloseTo(4, 14);
    expect(lastState[0]).toBeCloseTo(2, 14);
    expect(await read(backend, initialState)).toEqual([8]);
  });

  it('resets hide what came before, the initial state and a NaN too', async () => {
    const options = { initialState: tensor(backend, [1, 1, 1], [8]), resets: integers(backend, [1, 4], [1, 0, 7, 0]) };
    const packed = await scalarScan([1, Number.NaN, 3, 4], {}, options);
    const apart = await scalarScan([3, 4], {});
    expect(packed.y.slice(2)).toEqual(apart.y);
    expect(packed.lastState).toEqual(apart.lastState);
    expect(packed.y.slice(0, 1)).toEqual((await scalarScan([1], {})).y);
  });

  it.each<Discretization>(['euler', 'zoh', 'bilinear'])(
    '%s: a state handed on continues the sequence',
    async (discretization) => {
      const whole = await scalarScan([1, -2, 3, 4, 5], {}, { discretization });
      const first = await scalarScan([1, -2], {}, { discretization });
      const second = await scalarScan(
        [3, 4, 5],
        {},
        { discretization, initialState: tensor(backend, [1, 1, 1], first.lastState) },
      );
      expect([...first.y, ...second.y]).toEqual(whole.y);
      expect(second.lastState).toEqual(whole.lastState);
    },
  );
});

describe('NaN and infinity', () => {
  it('flow from the step at which they enter, in their own channel and row', async () => {
    const u = tensor(backend, [2, 3, 2], [1, 1, 1, Number.NaN, 1, 1, 1, 1, 1, 1, Number.POSITIVE_INFINITY, 1]);
    const ones = tensor(backend, [2, 3, 2], new Array(12).fill(1));
    const group = tensor(backend, [2, 3, 1, 1], new Array(6).fill(1));
    const zero = tensor(backend, [2, 1], [0, 0]);
    const { y, lastState } = await readBoth(backend, backend.selectiveScan(u, ones, zero, group, group));
    expect(y).toEqual([1, 1, 2, Number.NaN, 3, Number.NaN, 1, 1, 2, 2, Number.POSITIVE_INFINITY, 3]);
    expect(lastState).toEqual([3, Number.NaN, Number.POSITIVE_INFINITY, 3]);
  });
});
