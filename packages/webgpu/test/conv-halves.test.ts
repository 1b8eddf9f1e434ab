// The causal convolution over activations in halves, against the same over floats: halves hold x exactly, so that the
// results differ by the rounding of y alone.
import type { Backend } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDriver } from '../src/driver.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu, wholeRange } from '../src/gpu/gpu.ts';
import { convolve } from '../src/operations/causal-conv1d.ts';
import { rangeOf, unsplitStorage } from '../src/storage.ts';
import { exact, packed, unpacked } from './packed-halves.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = new Gpu(await acquire({}));
});
afterAll(() => gpu.dispose());

/** A backend whose convolution reads x and writes y in halves. */
function inHalves(): Backend {
  const driver = createDriver(gpu);
  return createBackend({
    ...driver,
    dispose: () => {},
    kernels: {
      ...driver.kernels,
      causalConv1d: ({ x, weight, bias, initialState, resets, activation, batch, length, dim, width }) =>
        gpu.allocating((allocator) => {
          const y = allocator.result(4 * batch * length * dim, 'y');
          const last = allocator.result(4 * batch * dim * (width - 1), 'last');
          convolve(gpu, {
            ...{ x: rangeOf(x), xRow: dim, xOffset: 0, weight: rangeOf(weight), bias: bias && rangeOf(bias) },
            ...{ initial: initialState && rangeOf(initialState), resets: resets && rangeOf(resets) },
            ...{ y: wholeRange(y), last: wholeRange(last), silu: activation === 'silu', batch, length, dim, width },
            stored: 'halves',
          });
          return { y: unsplitStorage(y), lastState: unsplitStorage(last) };
        }),
    },
  });
}

test.each([
  { width: 4, length: 21, initial: true, resets: false },
  { width: 4, length: 2, initial: false, resets: false },
  { width: 3, length: 30, initial: true, resets: true },
])('of $length steps with $width taps', async ({ width, length, initial, resets }) => {
  const [batch, dim] = [2, 70];
  const driver = createDriver(gpu);
  const [whole, half] = [createBackend({ ...driver, dispose: () => {} }), inHalves()];
  const host = exact(batch * length * dim, 37);
  const results = [];
  for (const backend of [whole, half]) {
    const tensor = (shape: number[], step: number) =>
      backend.upload({
        dtype: 'float32',
        shape,
        data: exact(
          shape.reduce((a, b) => a * b),
          step,
        ),
      });
    const x = backend.upload({
      dtype: 'float32',
      shape: [batch, length, dim],
      data: backend === half ? packed(host) : host,
    });
    const marks = Int32Array.from({ length: batch * length }, (_, index) => Number(index % 7 === 5));
    const { y, lastState } = backend.causalConv1d(x, tensor([dim, width], 53), tensor([dim], 11), {
      initialState: initial ? tensor([batch, dim, width - 1], 29) : undefined,
      resets: resets ? backend.upload({ dtype: 'int32', shape: [batch, length], data: marks }) : undefined,
      activation: 'silu',
    });
    results.push({ y: await backend.read(y), last: await backend.read(lastState) });
  }
  const [expected, given] = results;
  expect(given!.last).toEqual(expected!.last);
  const values = unpacked(given!.y);
  const worst = values.reduce((most, value, i) => {
    const size = Math.max(2 ** -14, Math.abs(expected!.y[i]!));
    return Math.max(most, Math.abs(value - expected!.y[i]!) / size);
  }, 0);
  expect(worst).toBeLessThanOrEqual(2 ** -11);
});
