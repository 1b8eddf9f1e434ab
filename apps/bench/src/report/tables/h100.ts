/** The tables of docs/performance/h100.md, from what `mamba-bench kernels` and peers/pytorch.py wrote on the device. */
import { formatPercent } from '../format.ts';
import { type TrainingPeer, type TrainingRow, trainingMemoryTable, trainingTable } from './h100-training.ts';
import type { MadeTable, Tables } from './made.ts';

/** A row of `mamba-bench kernels --backend webgpu`, as far as tables show it. */
interface KernelRow {
  readonly name: string;
  readonly microseconds: number;
  readonly batch?: number;
  readonly dim?: number;
  readonly length?: number;
  readonly rows?: number;
  readonly inputs?: number;
  readonly outputs?: number;
  readonly matrixPrecision?: string;
  readonly ofCopy?: number;
  readonly 'tokens/s'?: number;
  readonly 'tokens/s, median'?: number;
  readonly 'TFLOP/s'?: number;
  readonly 'GB/s'?: number;
  readonly 'GB/s, two rows a lane group'?: number;
  readonly 'µs a dispatch'?: number;
  readonly dispatches?: number;
  readonly label?: string;
}

interface TorchRow {
  readonly name: string;
  readonly shape: { readonly batch?: number; readonly length?: number; readonly dim?: number };
  readonly dtype: string;
  readonly median: number;
}

interface Results<T> {
  readonly rows: readonly T[];
  readonly before?: readonly T[];
}

/** @param load Gives the value of a file of results by its name. */
export function h100Tables(load: (file: string) => unknown): Tables {
  const kernels = (file: string): Results<KernelRow> => load(file) as Results<KernelRow>;
  const scans = (): readonly KernelRow[] => kernels('h100-scan-plain.json').rows;
  const steps = (): readonly TrainingRow[] => (load('h100-training.json') as Results<TrainingRow>).rows;
  const peers = (): readonly TrainingPeer[] => [load('h100-upstream-training.json') as TrainingPeer];
  const training = (matrixUnits: boolean): MadeTable => trainingTable(steps(), peers(), { matrixUnits });
  return {
    'h100-scan': () => scan(scans()),
    'h100-scan-pytorch': () => besidePyTorch(scans(), (load('h100-pytorch.json') as Results<TorchRow>).rows),
    'h100-prefill': () => prefill(kernels('h100-prefill-float16.json')),
    'h100-training': () => training(false),
    'h100-training-matrix-units': () => training(true),
    'h100-training-memory': () => trainingMemoryTable(steps(), peers()),
    'h100-products': () => products(kernels('h100-linear.json').rows, scans()),
    'h100-gemv': () => gemv(kernels('h100-gemv.json').rows),
    'h100-quantised': () =>
      quantised(kernels('h100-decode-float16.json').rows, kernels('h100-decode-quantised.json').rows),
    'h100-batches': () => batches(kernels('h100-batches.json')),
  };
}

/** Microseconds that the pass of a dispatch takes by itself. */
const PASS = 8.5;

function scan(rows: readonly KernelRow[]): MadeTable {
  return {
    head: ['sequences × channels × length', 'µs', 'share of copy', 'without the pass'],
    rows: rows
      .filter(({ name }) => name === 'scan rule')
      .map(({ batch, dim, length, microseconds, ofCopy }) => [
        `${batch} × ${dim} × ${length}`,
        whole(microseconds),
        formatPercent(ofCopy!),
        formatPercent((ofCopy! * microseconds) / (microseconds - PASS)),
      ]),
  };
}

function besidePyTorch(scans: readonly KernelRow[], torch: readonly TorchRow[]): MadeTable {
  const lengths = [512, 2048, 8192];
  const ours = (length: number): number =>
    scans.find(({ name, dim, length: own }) => name === 'scan rule' && dim === 1024 && own === length)!.microseconds;
  const theirs = (wanted: string, length: number): number => {
    const dtype = wanted === 'attention.flash' ? 'bfloat16' : 'float32';
    const found = torch.find(
      (row) => row.name === wanted && row.dtype === dtype && row.shape.dim === 1024 && row.shape.length === length,
    );
    return found!.median * 1e6;
  };
  const line = (label: string, name: string): readonly string[] => [
    label,
    ...lengths.map((length) => whole(theirs(name, length))),
  ];
  const over = (label: string, name: string): readonly string[] => [
    label,
    ...lengths.map((length) => `${whole(theirs(name, length) / ours(length))} ×`),
  ];
  return {
    head: ['µs', ...lengths.map((length) => `L ${length}`)],
    rows: [
      ['ours', ...lengths.map((length) => whole(ours(length)))],
      line('associative, eager', 'scan.associative'),
      over('associative, eager, over ours', 'scan.associative'),
      line('associative, compiled', 'scan.associative.compiled'),
      over('associative, compiled, over ours', 'scan.associative.compiled'),
      line('flash attention in bfloat16, D 1024', 'attention.flash'),
    ],
  };
}

function prefill({ rows, before = [] }: Results<KernelRow>): MadeTable {
  const model = 'prefill mamba-130m float16';
  const rate = (all: readonly KernelRow[], batch: number, length: number, precision: string) =>
    all.find(
      (row) => row.name === model && row.batch === batch && row.length === length && row.matrixPrecision === precision,
    );
  const shapes = new Set(rows.filter(({ name }) => name === model).map(({ batch, length }) => `${batch} × ${length}`));
  return {
    head: ['prompts', 'halves, before', 'halves', 'halves, the median', 'pairs of halves', 'float32'],
    rows: [...shapes].map((shape) => {
      const [batch, length] = shape.split(' × ').map(Number) as [number, number];
      const halves = rate(rows, batch, length, 'float16');
      const rates = [
        rate(before, batch, length, 'float16')?.['tokens/s'],
        halves?.['tokens/s'],
        halves?.['tokens/s, median'],
        rate(rows, batch, length, 'float16x2')?.['tokens/s'],
        rate(rows, batch, length, 'float32')?.['tokens/s'],
      ];
      return [shape, ...rates.map((value) => (value === undefined ? '' : whole(value / 1000)))];
    }),
  };
}

/** Products of more than one row, and the share of the multiply-add peak that float32 reaches. */
function products(rows: readonly KernelRow[], scans: readonly KernelRow[]): MadeTable {
  const peak = scans.find(({ name }) => name === 'multiply-add')!['TFLOP/s']!;
  const rates = rows.filter((row) => row['TFLOP/s'] !== undefined);
  const shapeOf = (row: KernelRow): string => `${row.rows} × ${row.inputs} × ${row.outputs}`;
  const rate = (shape: string, weights: string, precision: string): number =>
    rates.find(
      (row) => shapeOf(row) === shape && row.name === `linear ${weights}` && row.matrixPrecision === precision,
    )!['TFLOP/s']!;
  return {
    head: ['rows × inputs × outputs', 'float32', 'of peak', 'float16 weights', 'q8 weights', 'matrix units, halves'],
    rows: [...new Set(rates.map(shapeOf))].map((shape) => [
      shape,
      rate(shape, 'float32', 'float32').toFixed(1),
      formatPercent(rate(shape, 'float32', 'float32') / peak),
      rate(shape, 'float16', 'float32').toFixed(1),
      rate(shape, 'q8', 'float32').toFixed(1),
      rate(shape, 'float16', 'float16').toFixed(0),
    ]),
  };
}

/** GB/s that a copy moved in the call of the products of one row, as the file's note says. */
const COPY = 3002;

function gemv(rows: readonly KernelRow[]): MadeTable {
  const shapeOf = ({ inputs, outputs }: KernelRow): string => `${inputs} → ${outputs}`;
  const of = (shape: string, weights: string): KernelRow =>
    rows.find((row) => row.name === `gemv ${weights}` && shapeOf(row) === shape)!;
  const share = (rate: number | undefined): string => (rate === undefined ? '' : formatPercent(rate / COPY));
  return {
    head: ['inputs → outputs', 'float32', 'float16', 'q8', 'q8, two rows at once'],
    rows: [...new Set(rows.map(shapeOf))].map((shape) => [
      shape,
      share(of(shape, 'f32')['GB/s']),
      share(of(shape, 'f16')['GB/s']),
      share(of(shape, 'q8')['GB/s']),
      share(of(shape, 'q8')['GB/s, two rows a lane group']),
    ]),
  };
}

function quantised(first: readonly KernelRow[], staged: readonly KernelRow[]): MadeTable {
  const columns = [
    [first, 'float16'],
    [first, 'q8'],
    [staged, 'q8'],
    [first, 'q4'],
    [staged, 'q4'],
  ] as const;
  const model = (weights: string): string => `decode mamba-130m ${weights}`;
  const kernel = (kind: string, dispatches: number): readonly string[] =>
    columns.map(([rows, weights]) => {
      const found = rows.find(
        (row) => row.name === `  ${model(weights)}` && row.label!.startsWith(kind) && row.dispatches === dispatches,
      );
      return found!['µs a dispatch']!.toFixed(1);
    });
  const steps = columns.map(([rows, weights]) => rows.find(({ name }) => name === model(weights))!.microseconds);
  return {
    head: ['µs', 'float16', 'q8, x from where it lies', 'q8, x brought', 'q4, x from where it lies', 'q4, x brought'],
    rows: [
      ['a step', ...steps.map(whole)],
      ['in_proj, convolution, x_proj', ...kernel('decode-in-proj', 24)],
      ['out_proj', ...kernel('linear-vector', 24)],
      ['head', ...kernel('linear-vector', 1)],
    ],
  };
}

function batches({ rows, before = [] }: Results<KernelRow>): MadeTable {
  const rate = (all: readonly KernelRow[], precision: string, batch: number): string => {
    const name = `decode mamba-130m float16 ${precision}`;
    const found = all.find((row) => row.name === name && row.batch === batch);
    return found === undefined ? '' : whole(found['tokens/s']!);
  };
  const sizes = rows.filter(({ name }) => name === 'decode mamba-130m float16 float32').map(({ batch }) => batch!);
  return {
    head: ['rows', 'float32, before', 'float32', 'halves, before', 'halves', 'pairs of halves'],
    rows: sizes.map((batch) => [
      String(batch),
      rate(before, 'float32', batch),
      rate(rows, 'float32', batch),
      rate(before, 'float16', batch),
      rate(rows, 'float16', batch),
      rate(rows, 'float16x2', batch),
    ]),
  };
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');
