/** What another implementation computed, in float64 and with gradients: fixtures/README.md. */
import { checkGolden, describeReport } from '@mamba/conformance';
import type { BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { webgpu } from '@mamba/webgpu';
import { expect, test } from 'vitest';
import { goldenCompositions } from '../src/golden/index.ts';

const FILE = new URL('../fixtures/mixers-golden.safetensors', import.meta.url);

/** Cases of each composition, and the numbers of results and gradients that are compared. */
const COMPARED = {
  lstm: 4,
  gru: 4,
  s4d: 6,
  retention: 3,
  linear_attention: 2,
  performer: 2,
  longformer: 3,
};
/** The same for those of `attention`, which a backend may lack. */
const BY_ATTENTION = { linformer: 2, low_rank: 2, reformer: 4 };

test.each<[string, BackendProvider]>([
  ['reference', reference()],
  ['cpu', cpu()],
  ['webgpu', webgpu()],
])('%s gives the golden results and gradients of every composition', async (_, provider) => {
  const backend = await provider.create();
  try {
    const before = backend.memory();
    const reports = await checkGolden(backend, FILE, goldenCompositions);
    expect(reports.filter(({ pass }) => !pass).map(describeReport)).toEqual([]);
    const cases = [...new Set(reports.map((report) => report.case))];
    const heads = { shape: [1, 1, 1, 4], dtype: backend.precision };
    const { supported } = backend.supports('attention', heads, heads, heads);
    for (const [name, count] of Object.entries({ ...COMPARED, ...(supported && BY_ATTENTION) }))
      expect(cases.filter((item) => item === name || item.startsWith(`${name}_`))).toHaveLength(count);
    expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  } finally {
    await backend.dispose();
  }
});
