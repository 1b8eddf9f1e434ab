/** The matrices of mamba-130m: in_proj from one row (GEMV, a step of decode) to 512 (GEMM, a prefill), and the head. */
import { linearCase } from '@mamba/conformance';
import { type BenchCase, chosen, type Suite } from './contract.ts';
import { fromCase } from './from-case.ts';
import { linearWork } from './work.ts';

type Store = 'float16' | 'bfloat16';

export const linearSuite: Suite = {
  name: 'linear',
  summary: 'matrix products: one row (GEMV) to 512 rows (GEMM), and the head',
  takes: ['batch', 'dtypes'],
  cases({ effort, slow, shapes }) {
    const rows = slow ? [1, 8] : chosen(shapes?.batch, effort === 'quick' ? [1, 64] : [1, 8, 64, 512]);
    const stores = slow ? [] : (shapes?.dtypes ?? []).filter((dtype) => dtype === 'float16' || dtype === 'bfloat16');
    return ([undefined, ...stores] as (Store | undefined)[]).flatMap((store) => [
      ...rows.map((count) => benchLinear({ rows: count, inputs: 768, outputs: 3072 }, store)),
      ...(slow ? [] : [benchLinear({ rows: 1, inputs: 768, outputs: 50280 }, store)]),
    ]);
  },
};

function benchLinear(shape: { rows: number; inputs: number; outputs: number }, store?: Store): BenchCase {
  const { rows, inputs, outputs } = shape;
  const base = fromCase('linear', linearCase({ ...shape, store }), {
    id: `linear/rows-${rows}-${inputs}x${outputs}`,
    shape,
    items: rows,
    unit: 'rows',
    work: (bytesPerValue, bytesPerWeight) => linearWork(shape, bytesPerValue, bytesPerWeight),
  });
  return { ...base, weights: store };
}
