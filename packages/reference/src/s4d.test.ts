import type { Backend, Discretization } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relativeError, tensor } from '../test/values.ts';
import { reference, s4dConvolve, s4dKernel } from './index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

describe('the time-invariant case', () => {
  const [batch, length, dim, state] = [2, 37, 3, 4];
  const wave = (size: number, at: (index: number) => number) => Float64Array.from({ length: size }, (_, i) => at(i));
  const u = wave(batch * length * dim, (i) => Math.sin(1.7 * i) + 0.1);
  // S4D-Real: A = -(n + 1).
  const A = wave(dim * state, (i) => -((i % state) + 1));
  const B = wave(dim * state, (i) => Math.cos(i));
  const C = wave(dim * state, (i) => Math.sin(2 * i + 1));
  const delta = wave(dim, (i) => 0.05 * (i + 1));
  const D = wave(dim, (i) => i - 1);

  it.each<Discretization>(['euler', 'zoh', 'bilinear'])(
    '%s: convolution and recurrence agree',
    async (discretization) => {
      const { y } = backend.selectiveScan(
        tensor(backend, [batch, length, dim], u),
        tensor(
          backend,
          [batch, length, dim],
          wave(u.length, (i) => delta[i % dim]!),
        ),
        tensor(backend, [dim, state], A),
        tensor(backend, [dim, state], B),
        tensor(backend, [dim, state], C),
        { D: tensor(backend, [dim], D), discretization },
      );
      const kernel = s4dKernel({ A, B, C, delta, length, discretization });
      expect(relativeError(s4dConvolve({ u, kernel, dim, D }), await backend.read(y))).toBeLessThan(1e-14);
    },
  );

  it('the kernel is the answer to an impulse', () => {
    const kernel = s4dKernel({ A, B, C, delta, length });
    const impulse = new Float64Array(length * dim).fill(1, 0, dim);
    const y = s4dConvolve({ u: impulse, kernel, dim });
    for (let c = 0; c < dim; c++) {
      for (let t = 0; t < length; t++) expect(y[t * dim + c]).toBe(kernel[c * length + t]);
    }
  });

  it('refuses sizes that do not agree', () => {
    const expected = expect.objectContaining({ code: 'invalid-argument' });
    const system = { A, B, C, delta, length };
    expect(() => s4dKernel({ ...system, A: A.subarray(1) })).toThrow(expected);
    expect(() => s4dKernel({ ...system, B: B.subarray(1) })).toThrow(expected);
    expect(() => s4dKernel({ ...system, C: C.subarray(1) })).toThrow(expected);
    expect(() => s4dKernel({ ...system, delta: new Float64Array() })).toThrow(expected);
    for (const bad of [0, -1, 1.5, Number.NaN]) expect(() => s4dKernel({ ...system, length: bad })).toThrow(expected);
    const kernel = s4dKernel(system);
    expect(() => s4dConvolve({ u: u.subarray(1), kernel, dim })).toThrow(expected);
    expect(() => s4dConvolve({ u, kernel: kernel.subarray(1), dim })).toThrow(expected);
    expect(() => s4dConvolve({ u, kernel, dim: 0 })).toThrow(expected);
    expect(() => s4dConvolve({ u, kernel, dim, D: D.subarray(1) })).toThrow(expected);
  });
});
