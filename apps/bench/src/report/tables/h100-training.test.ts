import { expect, it } from 'vitest';
import { type TrainingPeer, type TrainingRow, trainingMemoryTable, trainingTable } from './h100-training.ts';

const small = { batch: 8, length: 256 };
const large = { batch: 1, length: 2048 };
const row = (name: string, shape: typeof small, rate: number, matrixPrecision = 'float32'): TrainingRow => ({
  ...{ name: `train ${name}`, ...shape, matrixPrecision, 'tokens/s': rate },
});

const ROWS = [
  row('mamba-130m plain', large, 27_000),
  row('mamba-130m captured', large, 29_500),
  row('mamba-130m plain', large, 29_400),
  row('mamba-130m captured', large, 31_920),
  row('mamba-130m captured', large, 62_000, 'float16'),
  row('induction-heads captured', small, 1_170_000),
];
const PEERS: readonly TrainingPeer[] = [
  {
    scan: 'its kernels',
    rows: [
      { name: 'train.mamba-130m', shape: large, dtype: 'float32', tokensPerSecond: 33_600 },
      { name: 'train.mamba-130m', shape: large, dtype: 'bfloat16 autocast', tokensPerSecond: 124_000 },
    ],
  },
  {
    scan: 'plain',
    rows: [{ name: 'train.mamba-130m.cudagraph', shape: large, dtype: 'float32', tokensPerSecond: 11_000 }],
  },
];

it("shows each round's steps in float32 as a range, beside the places of PyTorch that have figures", () => {
  const { head, rows } = trainingTable(ROWS, PEERS, { matrixUnits: false });
  expect(head.slice(2)).toEqual([
    ...['plain', 'captured', 'PyTorch, its kernels', 'PyTorch, plain, CUDA graph'],
    'captured over the best of PyTorch',
  ]);
  expect(rows).toEqual([
    ['mamba-130m', '1 × 2048', '27.0 to 29.4', '29.5 to 31.9', '33.6', '11.0', '0.88 to 0.95'],
    ['induction-heads', '8 × 256', '', '1,170', '', '', ''],
  ]);
});

it('shows steps on matrix units beside those under autocast', () => {
  const { head, rows } = trainingTable(ROWS, PEERS, { matrixUnits: true });
  expect(head.slice(2)).toEqual([
    ...['pairs of halves', 'halves', 'PyTorch, its kernels'],
    'halves over the best of PyTorch',
  ]);
  expect(rows[0]).toEqual(['mamba-130m', '1 × 2048', '', '62.0', '124', '0.50']);
});

it('shows the memory of a step', () => {
  const rows = [{ ...row('mamba-130m plain', large, 1), 'GB at most': 9.114 }, row('mamba-130m captured', large, 1)];
  const [withMemory, without] = PEERS.map((peer, index) => ({
    ...peer,
    rows: peer.rows.map((of) => (index === 0 ? { ...of, peakBytes: 12_345_678_901 } : of)),
  }));
  expect(trainingMemoryTable(rows, [withMemory!, without!])).toEqual({
    head: ['model', 'sequences × tokens', 'ours', 'PyTorch, its kernels', 'PyTorch, plain'],
    rows: [['mamba-130m', '1 × 2048', '9.11', '12.3', '']],
  });
});
