/**
 * Kinds whose tokens depend on those that come later: whole sequences against the reference, and typed errors for all
 * else.
 */
import { blockCase, checkCase, describeReport, seededWeights } from '@mamba/conformance';
import { type Backend, type BlockConfig, createModel, MambaError, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defineMixers } from '../src/index.ts';

defineMixers();
const KINDS: readonly BlockConfig[] = [
  { kind: 'performer', heads: 2, features: 7, causal: false },
  { kind: 'softmax-attention', heads: 2 },
  { kind: 'linformer', heads: 2, rank: 4, longest: 13 },
  { kind: 'reformer', heads: 2, buckets: 4, rounds: 2, chunk: 4, seed: 5 },
  { kind: 'sliding-window', heads: 2, stride: 3 },
];

let backend: Backend;
let oracle: Backend;
beforeAll(async () => {
  backend = await cpu().create();
  oracle = await reference().create();
});
afterAll(async () => {
  await backend.dispose();
  await oracle.dispose();
});

test.each(KINDS)('$kind gives the numbers of the reference', async (config) => {
  for (const length of [1, 13]) {
    const item = blockCase({ config: { ...config, dModel: 10 }, batch: 2, length });
    const reports = await checkCase(item, { backend, reference: oracle });
    expect('skipped' in reports ? reports : reports.filter(({ pass }) => !pass).map(describeReport)).toEqual([]);
  }
});

test.each(KINDS)('$kind refuses to go on, and packed sequences', async (block) => {
  const config = modelConfig({ dModel: 10, vocabSize: 5, blocks: [block] });
  const model = await createModel(backend, config, seededWeights(config, 1));
  const before = backend.memory();
  const first = model.forward([[1, 2, 3]], { logits: 'last' });
  const refused = (run: () => unknown): void => {
    const { tensors } = backend.memory();
    expect(run).toThrow(MambaError);
    expect(run).toThrow(
      expect.objectContaining({ code: 'unsupported', remedy: expect.stringContaining('keeps a state') }),
    );
    expect(backend.memory().tensors).toBe(tensors);
  };
  refused(() => model.forward([[4]], { state: first.state }));
  const resets = backend.upload({ dtype: 'int32', shape: [1, 2], data: Int32Array.of(0, 1) });
  refused(() => model.forward([[1, 2]], { resets }));
  resets.dispose();
  first.logits?.dispose();
  for (const tensor of first.hiddenStates ?? []) tensor.dispose();
  first.state.dispose();
  expect(backend.memory()).toMatchObject({ tensors: before.tensors });
});
