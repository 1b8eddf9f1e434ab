// Matrices beyond what a shader may bind are split by rows, and what cannot be split is refused with the reason.
import { causalConv1dCase, checkCase } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquire } from '../src/gpu/acquire.ts';
import { webgpu } from '../src/index.ts';
import { limited } from './limited.ts';

const BINDING = 4096;

describe('with bindings of 4 KiB', () => {
  let device: GPUDevice;
  let backend: Backend;
  beforeAll(async () => {
    ({ device } = await acquire({}));
    backend = await webgpu({ device: limited(device, { maxStorageBufferBindingSize: BINDING }) }).create();
  });
  afterAll(async () => {
    await backend.dispose();
    device.destroy();
  });

  const [rows, columns] = [70, 40];
  const data = Float32Array.from({ length: rows * columns }, (_, index) => Math.sin(index));
  const matrix = { dtype: 'float32' as const, shape: [rows, columns], data };

  test.each([
    ['float32', 0],
    ['float16', 3e-4],
    ['bfloat16', 2e-3],
    ['q8', 5e-3],
    ['q4', 0.13],
  ] as const)('%s matrices are split', async (dtype, error) => {
    const weight = backend.upload(matrix, { dtype, role: 'matrix' });
    const stored = await backend.read(weight);
    for (const [index, value] of stored.entries()) expect(Math.abs(value - data[index]!)).toBeLessThanOrEqual(error);

    const ids = [0, 69, 25, 26, 51];
    const picked = backend.embedding(
      weight,
      backend.upload({ dtype: 'int32', shape: [5], data: Int32Array.from(ids) }),
    );
    const expectedRows = ids.flatMap((id) => [...stored.slice(id * columns, (id + 1) * columns)]);
    expect([...(await backend.read(picked))]).toEqual(expectedRows);

    for (const count of [2, 11]) {
      const x = Float32Array.from({ length: count * columns }, (_, index) => Math.cos(index));
      const y = await backend.read(
        backend.linear(backend.upload({ dtype: 'float32', shape: [count, columns], data: x }), weight),
      );
      for (let row = 0; row < count; row++) {
        for (let output = 0; output < rows; output++) {
          let sum = 0;
          for (let k = 0; k < columns; k++) sum += x[row * columns + k]! * stored[output * columns + k]!;
          expect(Math.abs(y[row * rows + output]! - sum)).toBeLessThan(1e-5);
        }
      }
    }
  });

  test.each(['float32', 'bfloat16'] as const)('gradients go through all parts of %s matrices', async (dtype) => {
    const weight = backend.upload(matrix, { dtype, role: 'matrix' });
    const stored = await backend.read(weight);
    const count = 5;
    const x = backend.upload({ dtype: 'float32', shape: [count, columns], data: new Float32Array(count * columns) });
    const cotangents = Float32Array.from({ length: count * rows }, (_, index) => Math.cos(index));
    const dy = backend.upload({ dtype: 'float32', shape: [count, rows], data: cotangents });
    const gradients = backend.linearBackward(x, weight, undefined, dy, { wanted: ['x'] });
    const dx = await backend.read(gradients.x!);
    for (let row = 0; row < count; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let k = 0; k < rows; k++) sum += cotangents[row * rows + k]! * stored[k * columns + column]!;
        expect(Math.abs(dx[row * columns + column]! - sum)).toBeLessThan(1e-5);
      }
    }
  });

  test('a gradient goes through turned copies of all parts', async () => {
    const [outputs, inputs, count] = [40, 64, 5];
    const testing = { productVariant: { turns: true } };
    const limits = { maxStorageBufferBindingSize: BINDING };
    const turning = await webgpu({ device: limited(device, limits), testing }).create();
    const values = (length: number) => Float32Array.from({ length }, (_, index) => Math.sin(index));
    const upload = (shape: readonly number[]) =>
      turning.upload({ dtype: 'float32', shape, data: values(shape[0]! * shape[1]!) });
    const weight = turning.upload(
      { dtype: 'float32', shape: [outputs, inputs], data: values(outputs * inputs) },
      { role: 'matrix' },
    );
    const { x } = turning.linearBackward(upload([count, inputs]), weight, undefined, upload([count, outputs]), {
      wanted: ['x'],
    });
    const dx = await turning.read(x!);
    const [dy, stored] = [values(count * outputs), values(outputs * inputs)];
    for (let at = 0; at < count * inputs; at++) {
      let sum = 0;
      for (let k = 0; k < outputs; k++)
        sum += dy[Math.floor(at / inputs) * outputs + k]! * stored[k * inputs + (at % inputs)]!;
      expect(Math.abs(dx[at]! - sum)).toBeLessThan(1e-5);
    }
    await turning.dispose();
  });

  test('a gradient that cannot be bound is refused', () => {
    const x = { shape: [2, columns], dtype: 'float32' } as const;
    const weight = { shape: [rows, columns], dtype: 'float32' } as const;
    const dy = { shape: [2, rows], dtype: 'float32' } as const;
    expect(backend.supports('linearBackward', x, weight, undefined, dy)).toMatchObject({
      supported: false,
      reason: expect.stringContaining('the gradient of weight would take 11200 bytes'),
    });
    const ids = { shape: [2], dtype: 'int32' } as const;
    expect(backend.supports('embeddingBackward', weight, ids, x)).toMatchObject({
      supported: false,
      reason: expect.stringContaining('the gradient would take 11200 bytes'),
    });
  });

  test('what cannot be split is refused with the sizes', () => {
    expect(backend.supportsUpload({ shape: [2000], dtype: 'float32' })).toEqual({
      supported: false,
      reason: 'it takes 8000 bytes, more than the 4096 that a shader may bind here',
    });
    const x = { shape: [40, columns], dtype: 'float32' } as const;
    const weight = { shape: [rows, columns], dtype: 'float32' } as const;
    expect(backend.supports('linear', x, weight)).toMatchObject({
      supported: false,
      reason: expect.stringContaining('x takes 6400 bytes'),
    });
  });
});

test('a convolution longer than the grid goes through it in strides', async () => {
  const { device } = await acquire({});
  const backend = await webgpu({ device: limited(device, { maxComputeWorkgroupsPerDimension: 3 }) }).create();
  const exact = await reference().create();
  try {
    for (const length of [23, 24, 25, 50, 97]) {
      const item = causalConv1dCase({ batch: 2, length, dim: 5, initialState: true, resets: true });
      const reports = await checkCase(item, { backend, reference: exact });
      expect(reports).toMatchObject([{ pass: true }, { pass: true }]);
    }
  } finally {
    await backend.dispose();
    await exact.dispose();
    device.destroy();
  }
});
