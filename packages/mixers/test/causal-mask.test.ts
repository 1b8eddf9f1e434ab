import type { Backend, HostTensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { causalMask } from '../src/softmax-attention/causal-mask.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 1 }).create();
});
afterAll(() => backend.dispose());

test.each([
  { queries: 1, keys: 1 },
  { queries: 4, keys: 4 },
  { queries: 3, keys: 8 },
  // These are made in two parts.
  { queries: 520, keys: 530 },
])('$queries queries at the end of $keys keys see those up to their own', async ({ queries, keys }) => {
  const { tensors } = backend.memory();
  const upload = vi.spyOn(backend, 'upload');
  const mask = scoped((scope) => scope.release(causalMask(backend, scope, queries, keys, -7)));
  const uploaded = upload.mock.calls.reduce((sum, [host]: [HostTensor, ...unknown[]]) => sum + host.data.length, 0);
  upload.mockRestore();
  const expected = Float32Array.from({ length: queries * keys }, (_, index) =>
    index % keys <= Math.floor(index / keys) + keys - queries ? 0 : -7,
  );
  expect(mask.shape).toEqual([queries, keys]);
  const actual = await backend.read(mask);
  expect(actual).toHaveLength(expected.length);
  expect(actual.findIndex((value, index) => value !== expected[index])).toBe(-1);
  expect(uploaded).toBeLessThanOrEqual(2 * (queries + 2 * keys));
  mask.dispose();
  expect(backend.memory().tensors).toBe(tensors);
});
