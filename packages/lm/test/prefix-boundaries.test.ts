/** Prompts that part after a common beginning share its state, if a cache has boundaries. */
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Batcher, type LanguageModel, loadModel, PrefixCache } from '../src/index.ts';
import { expectError, FIXTURES, ids } from './helpers.ts';

let backend: Backend;
let lm: LanguageModel;
beforeAll(async () => {
  backend = await cpu().create();
  lm = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
});
afterAll(async () => {
  lm.dispose();
  await backend.dispose();
});

it('inserts the states at boundaries, whatever others read at the same time', async () => {
  const prefixCache = new PrefixCache(lm, { boundary: 4 });
  const batcher = new Batcher(lm);
  const common = lm.encode('In the beginning God created the heaven and the earth').slice(0, 11);
  const prompts = [...Array(3).keys()].map((index) => [...common, 100 + index, ...Array<number>(index + 1).fill(7)]);
  const generate = (prompt: readonly number[], options: object) =>
    ids(lm.generate({ prompt, maxTokens: 5, stopIds: [], chunk: 3, ...options }) as AsyncIterable<{ id: number }>);
  const made = await Promise.all(prompts.map((prompt) => generate(prompt, { batcher, prefixCache })));
  expect(made).toEqual(await Promise.all(prompts.map((prompt) => generate(prompt, {}))));
  for (const length of [4, 8]) expect(prefixCache.lengthOf([...common.slice(0, length), 999])).toBe(length);
  expect(prefixCache.lengthOf([...common, 999])).toBe(8);
  const fourth = [...common, 200];
  expect(await generate(fourth, { batcher, prefixCache })).toEqual(await generate(fourth, {}));
  expect(prefixCache.lookups).toEqual({ hits: 1, misses: 3 });
  prefixCache.dispose();
  await batcher.dispose();
});

it('knows the next boundary', async () => {
  const cache = new PrefixCache(lm, { boundary: 4 });
  expect([0, 3, 4, 7, 8, 100].map((tokens) => cache.nextBoundary(tokens))).toEqual([4, 4, 8, 8, 16, 128]);
  expect(new PrefixCache(lm).nextBoundary(0)).toBe(Number.POSITIVE_INFINITY);
  await expectError(() => new PrefixCache(lm, { boundary: 0 }), 'invalid-argument', 'boundary');
});
