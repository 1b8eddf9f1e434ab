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
};
/** Those that Mamba-2's scan computes, which webgpu does not have yet. */
const BY_SCAN = { retention: 3, linear_attention: 2, performer: 2 };

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
    const compared = backend.name === 'webgpu' ? COMPARED : { ...COMPARED, ...BY_SCAN };
    for (const [name, count] of Object.entries(compared))
      expect(cases.filter((item) => item === name || item.startsWith(`${name}_`))).toHaveLength(count);
    expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  } finally {
    await backend.dispose();
  }
});
