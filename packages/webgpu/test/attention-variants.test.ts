// Every layout of attention on lanes, whatever a device would choose, and steps of every number of rows.
import { attentionCase, checkCase, describeReport, type TensorReport } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.ts';
import { LAYOUTS } from '../src/operations/attention-plan.ts';

let oracle: Backend;
beforeAll(async () => {
  oracle = await reference().create();
});
afterAll(() => oracle.dispose());

async function failures(backend: Backend, options: Parameters<typeof attentionCase>[0]): Promise<readonly string[]> {
  const outcome = await checkCase(attentionCase(options), { backend, reference: oracle });
  expect(outcome).not.toHaveProperty('skipped');
  return (outcome as readonly TensorReport[]).filter(({ pass }) => !pass).map(describeReport);
}

const named = LAYOUTS.map((layout) => ({ name: Object.values(layout).join('-'), layout }));
describe.each(named)('layout $name', ({ layout }) => {
  test.each([6, 24])('heads of %i channels', async (headDim) => {
    const backend = await webgpu({ testing: { attentionVariant: layout } }).create();
    const options = { id: `d${headDim}`, batch: 1, heads: 2, kvHeads: 1, queries: 70, keys: 90, headDim, window: 40 };
    expect(await failures(backend, options)).toEqual([]);
    await backend.dispose();
  });
});

describe('steps', () => {
  const calls = [1, 2, 3, 8].flatMap((queries) => [10, 40, 136].map((headDim) => ({ queries, headDim })));
  test.each(calls)('$queries rows of $headDim channels', async ({ queries, headDim }) => {
    const backend = await webgpu().create();
    const options = { id: 'step', batch: 2, heads: 2, kvHeads: 2, queries, keys: 300, headDim, softcap: 3 };
    expect(await failures(backend, options)).toEqual([]);
    await backend.dispose();
  });
});
