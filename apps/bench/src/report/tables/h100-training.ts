/** Whole steps of training on an H100: `kernels --section training` beside what peers/pytorch_training.py wrote. */
import type { PyTorchTraining } from '../../schema/pytorch-training.ts';
import type { MadeTable } from './made.ts';

/** A row of `mamba-bench kernels --backend webgpu --section training`; each round has one. */
export interface TrainingRow {
  /** `train mamba-130m captured`, say. */
  readonly name: string;
  readonly batch: number;
  readonly length: number;
  readonly matrixPrecision: string;
  readonly 'tokens/s': number;
  readonly 'GB at most'?: number;
}

/** A file of peers/pytorch_training.py, as far as the tables tell of it. */
export type TrainingPeer = Pick<PyTorchTraining, 'scan' | 'rows'>;

/**
 * Thousand tokens a second, as ranges where there were several rounds, and the last column of ours over the best of
 * PyTorch's.
 * @param options.matrixUnits Steps whose products may round, beside PyTorch's under bfloat16 autocast.
 */
export function trainingTable(
  rows: readonly TrainingRow[],
  peers: readonly TrainingPeer[],
  { matrixUnits }: { readonly matrixUnits: boolean },
): MadeTable {
  const column = (head: string, way: string, precision: string): Column =>
    columnOf(head, rows, { way, precision }, (row) => row['tokens/s']);
  const ours = matrixUnits
    ? [column('pairs of halves', 'captured', 'float16x2'), column('halves', 'captured', 'float16')]
    : [column('plain', 'plain', 'float32'), column('captured', 'captured', 'float32')];
  const subjects = subjectsOf(rows);
  const theirs = peers
    .flatMap((peer) => ['', '.cudagraph'].map((suffix) => ({ peer, suffix })))
    .map(({ peer, suffix }) =>
      columnOfPeer(peer, suffix, matrixUnits ? 'bfloat16 autocast' : 'float32', (row) => row.tokensPerSecond),
    )
    .filter(({ values }) => subjects.some((subject) => values(subject).length > 0));
  const last = ours.at(-1)!;
  return {
    head: [
      ...['model', 'sequences × tokens'],
      ...[...ours, ...theirs].map(({ head }) => head),
      `${last.head} over the best of PyTorch`,
    ],
    rows: subjects.map((subject) => {
      const best = Math.max(...theirs.flatMap(({ values }) => values(subject)));
      // Without a figure of PyTorch there is nothing to compare with.
      const ratios = best > 0 ? last.values(subject).map((rate) => rate / best) : [];
      return [
        ...namesOf(subject),
        ...[...ours, ...theirs].map(({ values }) => range(values(subject), thousands)),
        range(ratios, (ratio) => ratio.toFixed(2)),
      ];
    }),
  };
}

/** The most memory of a step in float32, call by call, in GB, beside that of PyTorch's. */
export function trainingMemoryTable(rows: readonly TrainingRow[], peers: readonly TrainingPeer[]): MadeTable {
  const columns = [
    columnOf('ours', rows, { way: 'plain', precision: 'float32' }, (row) => row['GB at most']),
    ...peers.map((peer) => columnOfPeer(peer, '', 'float32', ({ peakBytes }) => peakBytes && peakBytes / 1e9)),
  ];
  return {
    head: ['model', 'sequences × tokens', ...columns.map(({ head }) => head)],
    rows: subjectsOf(rows).map((subject) => [
      ...namesOf(subject),
      ...columns.map(({ values }) => range(values(subject), (bytes) => bytes.toPrecision(3))),
    ]),
  };
}

interface Subject {
  readonly model: string;
  readonly batch: number;
  readonly length: number;
}

const namesOf = ({ model, batch, length }: Subject): readonly string[] => [model, `${batch} × ${length}`];

interface Column {
  readonly head: string;
  /** The values of each round. */
  values(subject: Subject): readonly number[];
}

/** What was trained, in the order of the rows. */
function subjectsOf(rows: readonly TrainingRow[]): readonly Subject[] {
  const subjects = rows.map(({ name, batch, length }): Subject => ({ model: name.split(' ')[1]!, batch, length }));
  return [...new Map(subjects.map((subject) => [Object.values(subject).join(), subject])).values()];
}

function columnOf(
  head: string,
  rows: readonly TrainingRow[],
  { way, precision }: { readonly way: string; readonly precision: string },
  figureOf: (row: TrainingRow) => number | undefined,
): Column {
  return {
    head,
    values: ({ model, batch, length }) =>
      rows
        .filter((row) => row.name === `train ${model} ${way}` && row.matrixPrecision === precision)
        .filter((row) => row.batch === batch && row.length === length)
        .flatMap((row) => figureOf(row) ?? []),
  };
}

function columnOfPeer(
  { scan, rows }: TrainingPeer,
  suffix: string,
  dtype: string,
  figureOf: (row: TrainingPeer['rows'][number]) => number | undefined,
): Column {
  return {
    head: `PyTorch, ${scan}${suffix === '' ? '' : ', CUDA graph'}`,
    values: ({ model, batch, length }) =>
      rows
        .filter((row) => row.name === `train.${model}${suffix}` && row.dtype === dtype)
        .filter(({ shape }) => shape.batch === batch && shape.length === length)
        .flatMap((row) => figureOf(row) ?? []),
  };
}

function range(values: readonly number[], format: (value: number) => string): string {
  if (values.length === 0) return '';
  const [least, most] = [format(Math.min(...values)), format(Math.max(...values))];
  return least === most ? least : `${least} to ${most}`;
}

function thousands(rate: number): string {
  return rate < 100_000 ? (rate / 1000).toFixed(1) : Math.round(rate / 1000).toLocaleString('en');
}
