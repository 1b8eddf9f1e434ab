/** One block of mamba-130m's size, at the length of a step, of a short prompt, and of a chunk of prefill. */
import { blockCase } from '@mamba/conformance';
import { blockConfig, MAMBA_SIZES } from '@mamba/core';
import type { BenchCase, Suite } from './contract.ts';
import { readAll } from './values.ts';
import { blockWork } from './work.ts';

export const blockSuite: Suite = {
  name: 'block',
  summary: 'one Mamba block of mamba-130m, at lengths of 1 to 512',
  cases({ effort, slow }) {
    const lengths = slow ? [1, 16] : effort === 'quick' ? [1, 64] : [1, 64, 512];
    return lengths.map((length) => benchBlock(MAMBA_SIZES['mamba-130m'].dModel, length));
  },
};

export function benchBlock(dModel: number, length: number): BenchCase {
  const config = blockConfig(dModel);
  const id = `block/length-${length}`;
  const base = blockCase({ config, batch: 1, length, id: `length-${length}` });
  const { dInner, dState } = config;
  return {
    suite: 'block',
    id,
    measurements: [
      {
        id,
        shape: { batch: 1, length, dModel, dInner, dState },
        items: length,
        unit: 'tokens',
        work: (bytesPerValue) => blockWork(config, length, bytesPerValue),
      },
    ],
    tolerance: base.tolerance.relative,
    checked: 'the shape itself',
    checkOperations: blockWork(config, length, 0).operations,
    async expected(reference) {
      const prepared = await base.prepare(reference);
      try {
        return await readAll(reference, prepared.run());
      } finally {
        prepared.dispose();
      }
    },
    async prepare(backend) {
      const prepared = await base.prepare(backend);
      const run = (): void => {
        for (const tensor of Object.values(prepared.run())) tensor.dispose();
      };
      return {
        actual: () => readAll(backend, prepared.run()),
        measured: { [id]: { run } },
        dispose: () => prepared.dispose(),
      };
    },
  };
}
