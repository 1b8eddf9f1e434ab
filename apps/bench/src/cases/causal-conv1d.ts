/** The causal convolution with SiLU as mamba-130m's block uses it: dim 1536, width 4. */
import { causalConv1dCase } from '@mamba/conformance';
import { type BenchCase, chosen, type Suite } from './contract.ts';
import { fromCase } from './from-case.ts';
import { convWork } from './work.ts';

export const convSuite: Suite = {
  name: 'conv',
  summary: 'causal convolution and SiLU over lengths',
  sweep: 'length',
  takes: ['length', 'batch'],
  cases({ effort, slow, shapes }) {
    const own = { quick: [512, 2048], standard: [512, 2048, 8192], thorough: [512, 1024, 2048, 4096, 8192, 16384] };
    const lengths = slow ? [128, 512] : chosen(shapes?.length, own[effort]);
    const batches = slow ? [1] : chosen(shapes?.batch, [1]);
    return batches.flatMap((batch) => lengths.map((length) => benchConv({ batch, length, dim: 1536 })));
  },
};

function benchConv(shape: { batch: number; length: number; dim: number }): BenchCase {
  const { batch, length, dim } = shape;
  const id = `conv/length-${length}${batch === 1 ? '' : `-batch-${batch}`}`;
  return fromCase('conv', causalConv1dCase({ ...shape, width: 4 }), {
    id,
    shape: { ...shape, width: 4 },
    items: batch * length * dim,
    unit: 'values',
    work: (bytesPerValue) => convWork({ ...shape, width: 4 }, bytesPerValue),
  });
}
