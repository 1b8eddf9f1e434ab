/** Sizes around every block and vector width of the kernels, against float64 loops written out here. */
import type { Backend, Discretization } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { float32, relativeError, uniform } from './host.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(async () => {
  await backend.dispose();
});

/** Rows, channels and threads around chunks of 8192 values. */
test.each([
  [1, 8191, 1],
  [1, 8193, 2],
  [3, 2731, 2],
  [3, 8192, 2],
  [2, 20_001, 3],
  [4097, 2, 3],
])('multiply and layerNorm, %i rows of %i channels, %i threads', async (rows, channels, threads) => {
  const own = await cpu({ threads }).create();
  const shape = [rows, channels];
  const [left, right] = [uniform(rows * channels, 1, -3, 3), uniform(rows * channels, 2)];
  const [a, b] = [float32(own, shape, left), float32(own, shape, right)];
  const product = await own.read(own.multiply(a, b, { activation: 'silu', scale: 2 }));
  const silu = (x: number): number => x / (1 + Math.exp(-x));
  const products = Float64Array.from(left, (x, index) => 2 * silu(x) * right[index]!);
  expect(relativeError(product, products)).toBeLessThan(1e-6);

  const normed = await own.read(own.layerNorm(a, { eps: 1e-3 }));
  const expected = new Float64Array(rows * channels);
  for (let row = 0; row < rows; row++) {
    const values = [...left.subarray(row * channels, (row + 1) * channels)];
    const mean = values.reduce((sum, value) => sum + value, 0) / channels;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
    for (const [c, value] of values.entries())
      expected[row * channels + c] = (value - mean) / Math.sqrt(variance + 1e-3);
  }
  expect(relativeError(normed, expected)).toBeLessThan(1e-6);
  await own.dispose();
});

const ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17];

test.each([
  [1, 1],
  [2, 3],
  [3, 8],
  [4, 4],
  [7, 95],
  [8, 96],
  [17, 97],
  [129, 17],
  [511, 9],
  [512, 7],
  [513, 100],
  [1030, 10],
])('linear, inputs %i, outputs %i, rows 1 to 17', async (inputs, outputs) => {
  const [matrix, shift] = [uniform(outputs * inputs, 1), uniform(outputs, 2)];
  const weight = backend.upload({ dtype: 'float32', shape: [outputs, inputs], data: matrix }, { role: 'matrix' });
  const bias = float32(backend, [outputs], shift);
  for (const rows of ROWS) {
    const values = uniform(rows * inputs, 3);
    const x = float32(backend, [rows, inputs], values);
    for (const added of [undefined, bias]) {
      const expected = Float64Array.from({ length: rows * outputs }, (_, index) => {
        const [row, output] = [Math.floor(index / outputs), index % outputs];
        let sum = added === undefined ? 0 : shift[output]!;
        for (let k = 0; k < inputs; k++) sum += values[row * inputs + k]! * matrix[output * inputs + k]!;
        return sum;
      });
      const y = backend.linear(x, weight, added);
      expect(relativeError(await backend.read(y), expected)).toBeLessThan(2e-6);
      y.dispose();
    }
    x.dispose();
  }
});

interface Scan {
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups: number;
  readonly discretization: Discretization;
}

const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));

/** The scan with softplus and no other option; the conformance suite tests those. */
function expectedScan(
  { length, dim, state, groups, discretization }: Scan,
  [u, delta, A, B, C]: readonly Float32Array[],
): { y: Float64Array; lastState: Float64Array } {
  const y = new Float64Array(length * dim);
  const h = new Float64Array(dim * state);
  for (let t = 0; t < length; t++) {
    for (let channel = 0; channel < dim; channel++) {
      const group = Math.floor(channel / (dim / groups));
      const d = softplus(delta![t * dim + channel]!);
      for (let n = 0; n < state; n++) {
        const at = channel * state + n;
        const a = A![at]!;
        const b = B![(t * groups + group) * state + n]!;
        const half = (d * a) / 2;
        const decay = discretization === 'bilinear' ? (1 + half) / (1 - half) : Math.exp(d * a);
        const input =
          discretization === 'euler'
            ? d * b
            : discretization === 'zoh'
              ? (Math.expm1(d * a) / a) * b
              : (d * b) / (1 - half);
        h[at] = decay * h[at]! + input * u![t * dim + channel]!;
        y[t * dim + channel]! += h[at]! * C![(t * groups + group) * state + n]!;
      }
    }
  }
  return { y, lastState: h };
}

test.each(['euler', 'zoh', 'bilinear'] as const)(
  'selectiveScan %s, around every block size',
  async (discretization) => {
    for (const dim of [1, 3, 4, 5, 8, 9, 17]) {
      for (const state of [1, 2, 3, 16, 17, 65]) {
        for (const [length, groups] of [
          [1, 1],
          [5, dim],
          [127, 1],
          [130, 1],
        ] as const) {
          const scan = { length, dim, state, groups, discretization };
          const shapes = [
            [1, length, dim],
            [1, length, dim],
            [dim, state],
            [1, length, groups, state],
            [1, length, groups, state],
          ];
          const data = [
            uniform(length * dim, 1),
            uniform(length * dim, 2, -4, 1),
            uniform(dim * state, 3, -8, -0.01),
            uniform(length * groups * state, 4),
            uniform(length * groups * state, 5),
          ];
          const [u, delta, A, B, C] = data.map((values, index) => float32(backend, shapes[index]!, values));
          const { y, lastState } = backend.selectiveScan(u!, delta!, A!, B!, C!, {
            deltaSoftplus: true,
            discretization,
          });
          const expected = expectedScan(scan, data);
          expect(relativeError(await backend.read(y), expected.y)).toBeLessThan(4e-6);
          expect(relativeError(await backend.read(lastState), expected.lastState)).toBeLessThan(4e-6);
          for (const tensor of [u, delta, A, B, C, y, lastState]) tensor?.dispose();
        }
      }
    }
  },
);
