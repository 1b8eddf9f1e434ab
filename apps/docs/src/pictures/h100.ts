// Pictures of the H100: kernels and models through WebGPU.
import { type AttentionReport, find, type KernelReport, type KernelRow, load } from '../results.ts';
import { dayOf, gpuOf, type Picture, type Point } from './picture.ts';

const MODELS = 'h100-models.json';
const BATCHES = 'h100-batches.json';
const PREFILL = 'h100-prefill-float16.json';
const SCAN = 'h100-scan-attention.json';
const FLASH = 'h100-pytorch-attention.json';
const LINEAR = 'h100-linear.json';

export const h100 = (): readonly Picture[] => [write(), batches(), read(), scanBesideAttention(), products()];

/** What a picture says of where its figures come from. */
function sourceOf(
  { device, node, date }: KernelReport,
  ...files: readonly string[]
): Pick<Picture, 'machine' | 'date' | 'files'> {
  return { machine: `${gpuOf(device.device)}, Node ${node.slice(1)}`, date: dayOf(date), files };
}

function write(): Picture {
  const report = load<KernelReport>(MODELS);
  const points = ['mamba-130m', 'mamba-370m', 'mamba-1.4b', 'mamba-2.8b'].map((model) => {
    const name = `decode ${model} float16`;
    return { x: model, y: find(report.rows, MODELS, name, (row) => row.name === name)['tokens/s']! };
  });
  return {
    id: 'h100-write',
    title: 'Writing, one sequence, weights in float16',
    kind: 'bars',
    x: 'model',
    unit: 'tokens a second',
    logarithmic: false,
    better: 'more',
    series: [{ name: 'WebGPU', points }],
    ...sourceOf(report, MODELS),
  };
}

function batches(): Picture {
  const report = load<KernelReport>(BATCHES);
  const precisions = { float32: 'float32', 'matrix units, halves': 'float16', 'matrix units, pairs': 'float16x2' };
  return {
    id: 'h100-batches',
    title: 'Writing many sequences at once, mamba-130m in float16',
    kind: 'lines',
    x: 'sequences',
    unit: 'tokens a second',
    logarithmic: true,
    better: 'more',
    series: Object.entries(precisions).map(([name, precision]) => ({
      name,
      points: report.rows
        .filter((row) => row.name === `decode mamba-130m float16 ${precision}`)
        .map(({ batch, 'tokens/s': rate }) => ({ x: batch!, y: rate! })),
    })),
    ...sourceOf(report, BATCHES),
  };
}

function read(): Picture {
  const report = load<KernelReport>(PREFILL);
  const precisions = { halves: 'float16', 'pairs of halves': 'float16x2', 'float32 lanes': 'float32' };
  const rows = report.rows.filter(({ name }) => name === 'prefill mamba-130m float16');
  return {
    id: 'h100-read',
    title: 'Reading prompts: mamba-130m on matrix units, and on float32 lanes',
    kind: 'bars',
    x: 'sequences × tokens',
    unit: 'tokens a second',
    logarithmic: false,
    better: 'more',
    series: Object.entries(precisions).map(([name, precision]) => ({
      name,
      points: rows
        .filter(({ matrixPrecision }) => matrixPrecision === precision)
        .map((row) => ({ x: `${row.batch} × ${row.length!.toLocaleString('en')}`, y: row['tokens/s']! })),
    })),
    ...sourceOf(report, PREFILL),
  };
}

function scanBesideAttention(): Picture {
  const report = load<KernelReport>(SCAN);
  const ours = (name: string) => report.rows.filter((row) => row.name === name);
  const flash = load<AttentionReport>(FLASH).rows.filter(({ dtype }) => dtype === 'torch.float16');
  return {
    id: 'h100-scan-attention',
    title: 'The scan beside attention of the same width: 1,024 channels, 16 heads of 64',
    kind: 'lines',
    x: 'tokens',
    unit: 'milliseconds',
    logarithmic: true,
    better: 'less',
    series: [
      { name: 'our scan, float32', points: ours('scan rule').map((row) => inMs(row.length!, row.microseconds)) },
      {
        name: 'our attention, float16',
        points: ours('attention float16: forward').map((row) => inMs(row.queries!, row.microseconds)),
      },
      { name: 'PyTorch’s flash attention, float16', points: flash.map((row) => inMs(row.length, row.microseconds)) },
    ],
    ...sourceOf(report, SCAN, FLASH),
  };
}

function products(): Picture {
  const report = load<KernelReport>(LINEAR);
  const stored = ['float32', 'float16', 'q8'];
  const units = ({ matrixPrecision }: KernelRow): boolean => matrixPrecision === 'float16';
  const pointsOf = (meets: (row: KernelRow) => boolean): readonly Point[] =>
    report.rows
      .filter((row) => row['TFLOP/s'] !== undefined && meets(row))
      .map((row) => ({ x: `${row.rows} × ${row.inputs} × ${row.outputs}`, y: row['TFLOP/s']! }));
  return {
    id: 'h100-products',
    title: 'Products of matrices, by what weights are stored as',
    kind: 'bars',
    x: 'rows × inputs × outputs',
    unit: 'TFLOP a second',
    logarithmic: false,
    better: 'more',
    series: [
      ...stored.map((name) => ({ name, points: pointsOf((row) => row.name === `linear ${name}` && !units(row)) })),
      {
        name: 'float16 on matrix units',
        points: pointsOf((row) => row.name === 'linear float16' && units(row)),
      },
    ],
    ...sourceOf(report, LINEAR),
  };
}

const inMs = (x: number, microseconds: number): Point => ({ x, y: microseconds / 1000 });
