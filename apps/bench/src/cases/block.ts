/** One block of mamba-130m's size, at the length of a step, of a short prompt, and of a chunk of prefill. */
import { blockCase } from '@mamba/conformance';
import { blockConfig, MAMBA_SIZES } from '@mamba/core';
import { mambaShape } from '../blocks/mamba.ts';
import { blockWork } from '../blocks/work.ts';
import { type BenchCase, chosen, type Suite } from './contract.ts';
import { fromCase } from './from-case.ts';

export const blockSuite: Suite = {
  name: 'block',
  summary: 'one Mamba block of mamba-130m, at lengths of 1 to 512',
  takes: ['length'],
  cases({ effort, slow, shapes }) {
    const lengths = slow ? [1, 4] : chosen(shapes?.length, effort === 'quick' ? [1, 64] : [1, 64, 512]);
    return lengths.map((length) => benchBlock(MAMBA_SIZES['mamba-130m'].dModel, length));
  },
};

export function benchBlock(dModel: number, length: number): BenchCase {
  const config = blockConfig(dModel);
  const { dModel: _, ...block } = { ...config, kind: 'mamba' as const };
  const id = `block/length-${length}`;
  const base = blockCase({ config, batch: 1, length, id: `length-${length}` });
  return fromCase('block', base, {
    id,
    shape: { batch: 1, length, ...mambaShape(config) },
    items: length,
    unit: 'tokens',
    work: (bytesPerValue) =>
      blockWork(block, { dModel, tokens: length, batch: 1, bytesPerValue, bytesPerWeight: bytesPerValue }),
  });
}
