/** The small operations of a model: norms, the residual's sum and a gated product, at the sizes of mamba-130m. */
import { addCase, layerNormCase, multiplyCase, type OperationCase, rmsNormCase } from '@mamba/conformance';
import { type BenchCase, chosen, type Suite } from './contract.ts';
import { fromCase } from './from-case.ts';
import { SMALL_WORK, type SmallOperation, smallWork } from './work.ts';

export const smallSuite: Suite = {
  name: 'small',
  summary: 'norms, a sum and a gated product of one row and of 512 rows',
  takes: ['batch'],
  cases({ effort, slow, shapes }) {
    const rows = slow ? [1, 64] : chosen(shapes?.batch, effort === 'quick' ? [512] : [1, 512]);
    const operations = Object.keys(SMALL_WORK) as SmallOperation[];
    return operations.flatMap((name) => rows.map((count) => benchSmall(name, { rows: count, channels: 768 })));
  },
};

type Rows = { readonly rows: number; readonly channels: number };

const BUILDERS: Readonly<Record<SmallOperation, (shape: Rows) => OperationCase>> = {
  'rms-norm': (shape) => rmsNormCase(shape) as OperationCase,
  'layer-norm': (shape) => layerNormCase(shape) as OperationCase,
  add: ({ rows, channels }) => addCase({ shape: [rows, channels] }) as OperationCase,
  multiply: ({ rows, channels }) => multiplyCase({ shape: [rows, channels], activation: 'silu' }) as OperationCase,
};

function benchSmall(name: SmallOperation, shape: Rows): BenchCase {
  const { rows, channels } = shape;
  return fromCase('small', BUILDERS[name](shape), {
    id: `small/${name}-${rows}x${channels}`,
    shape,
    items: rows * channels,
    unit: 'values',
    work: (bytesPerValue) => smallWork(name, shape, bytesPerValue),
  });
}
