// Products on matrix units, with the units emulated, since SwiftShader has none: every format, stride and rest of a
// tile, operands and results in halves, and operands that lie turned, against sums in JavaScript. Values are multiples
// of 1/64 that halves hold exactly, so that nothing is rounded but a result in halves.
import type { Backend, DType } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDriver } from '../src/driver.ts';
import { linearMatrix } from '../src/generated/index.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu, wholeRange } from '../src/gpu/gpu.ts';
import { type KernelContext, kernelContext } from '../src/operations/kernel-context.ts';
import { project, type StoredOperands } from '../src/operations/linear.ts';
import { linearBackward } from '../src/operations/linear-backward.ts';
import { rangeOf, unsplitStorage } from '../src/storage.ts';
import { emulated, replaceTexts, storing } from './emulated-units.ts';
import { exact, packed, unpacked } from './packed-halves.ts';

let gpu: Gpu;
let putBack: () => void;
beforeAll(async () => {
  putBack = replaceTexts(linearMatrix, (text) =>
    emulated(text, { first: 'firstRow', strides: ['STRIDE', 'TURNED_STRIDE'] })
      .replace(/subgroupMatrixStore<row_major>\(&tiles, /g, 'storeTiles(')
      .concat(storing('storeTiles', 'tiles')),
  );
  gpu = new Gpu(await acquire({}));
});
afterAll(async () => {
  putBack();
  await gpu.dispose();
});

/** A backend whose products run on emulated units, with activations stored in this way. */
function backendWith(pairs: boolean, stored?: StoredOperands): Backend {
  const precision = pairs ? 'float16x2' : 'float16';
  const kernels: KernelContext = { ...kernelContext(gpu, {}), matrixUnits: { precision, pairs, side: 4 } };
  const driver = createDriver(gpu);
  return createBackend({
    ...driver,
    kernels: {
      ...driver.kernels,
      linear: ({ x, weight, bias, rows, inputs, outputs }) =>
        gpu.allocating((allocator) => {
          const y = allocator.result(4 * rows * outputs, 'linear');
          const ranges = { x: rangeOf(x), bias: bias && rangeOf(bias), y: wholeRange(y) };
          project(kernels, weight.storage, { ...ranges, rows, inputs, outputs, stored });
          return unsplitStorage(y);
        }),
      linearBackward: (call) => linearBackward(kernels, call),
    },
    dispose: () => {},
  });
}

const FLOATS: StoredOperands = { x: 'floats', y: 'floats' };
interface Product {
  readonly id: string;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly dtype?: DType;
  readonly pairs?: boolean;
  readonly stored?: StoredOperands;
}

const products: readonly Product[] = [
  { id: 'tiles of 64, in fours', rows: 67, inputs: 48, outputs: 132 },
  { id: 'tiles of 64, rows anywhere', rows: 67, inputs: 21, outputs: 130 },
  { id: 'inputs cut', rows: 9, inputs: 300, outputs: 72 },
  { id: 'weights in q8', rows: 20, inputs: 70, outputs: 36, dtype: 'q8' },
  { id: 'pairs', rows: 33, inputs: 40, outputs: 64, pairs: true, dtype: 'float32' },
  { id: 'x in halves', rows: 67, inputs: 72, outputs: 132, stored: { x: 'halves', y: 'floats' } },
  { id: 'x in halves, inputs cut', rows: 9, inputs: 304, outputs: 72, stored: { x: 'halves', y: 'floats' } },
  { id: 'y in halves', rows: 67, inputs: 48, outputs: 132, stored: { x: 'floats', y: 'halves' } },
  { id: 'both in halves', rows: 70, inputs: 64, outputs: 192, stored: { x: 'halves', y: 'halves' } },
];

describe('a product on matrix units', () => {
  test.each(products)('$id', async ({ rows, inputs, outputs, dtype = 'float16', pairs = false, stored = FLOATS }) => {
    const backend = backendWith(pairs, stored);
    const host = exact(rows * inputs, 37);
    const data = stored.x === 'halves' ? packed(host) : host;
    const x = backend.upload({ dtype: 'float32', shape: [rows, inputs], data });
    const bias = backend.upload({ dtype: 'float32', shape: [outputs], data: exact(outputs, 11) });
    const weight = backend.upload(
      { dtype: 'float32', shape: [outputs, inputs], data: exact(outputs * inputs, 53) },
      { dtype, role: 'matrix' },
    );
    const [weights, added] = [await backend.read(weight), await backend.read(bias)];
    const y = await backend.read(backend.linear(x, weight, bias));
    const values = stored.y === 'halves' ? unpacked(y) : y;
    let worst = 0;
    for (let i = 0; i < rows * outputs; i++) {
      const [row, output] = [Math.floor(i / outputs), i % outputs];
      let sum = added[output]!;
      for (let k = 0; k < inputs; k++) sum += host[row * inputs + k]! * weights[output * inputs + k]!;
      worst = Math.max(worst, Math.abs(values[i]! - sum) / Math.max(1, Math.abs(sum)));
    }
    // Weights of q8 are rounded to halves; a result in halves has 11 bits.
    expect(worst).toBeLessThan(dtype === 'q8' ? 5e-3 : stored.y === 'halves' ? 2 ** -11 : 1e-5);
  });

  test('gradients, whose operands lie turned', async () => {
    const [rows, inputs, outputs] = [70, 68, 36];
    const backend = backendWith(false);
    const host = { x: exact(rows * inputs, 37), w: exact(outputs * inputs, 53), dy: exact(rows * outputs, 29) };
    const x = backend.upload({ dtype: 'float32', shape: [rows, inputs], data: host.x });
    const weight = backend.upload({ dtype: 'float32', shape: [outputs, inputs], data: host.w });
    const dy = backend.upload({ dtype: 'float32', shape: [rows, outputs], data: host.dy });
    const gradients = backend.linearBackward(x, weight, undefined, dy);
    const dx = await backend.read(gradients.x!);
    const dw = await backend.read(gradients.weight!);
    let worst = 0;
    for (let row = 0; row < rows; row++)
      for (let k = 0; k < inputs; k++) {
        let sum = 0;
        for (let o = 0; o < outputs; o++) sum += host.dy[row * outputs + o]! * host.w[o * inputs + k]!;
        worst = Math.max(worst, Math.abs(dx[row * inputs + k]! - sum));
      }
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < inputs; k++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += host.dy[row * outputs + o]! * host.x[row * inputs + k]!;
        worst = Math.max(worst, Math.abs(dw[o * inputs + k]! - sum));
      }
    expect(worst).toBeLessThan(1e-4);
  });
});
