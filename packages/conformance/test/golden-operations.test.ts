/** Golden files of several operations, with values that are worked out by hand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFile, openSafetensors, writeSafetensors } from '@mamba/checkpoint';
import type { HostTensor } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goldenChecks } from '../src/golden/check-golden.ts';
import type { GoldenCompositions } from '../src/golden/compositions/golden-composition.ts';
import { type CheckResult, runConformance } from '../src/runner/run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-golden-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const float32 = (shape: readonly number[], ...values: number[]): HostTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
const float64 = (shape: readonly number[], ...values: number[]): HostTensor => ({
  dtype: 'float64',
  shape,
  data: Float64Array.from(values),
});

async function check(
  cases: object,
  tensors: Record<string, HostTensor>,
  compositions: GoldenCompositions = {},
): Promise<readonly CheckResult[]> {
  const path = join(await mkdtemp(join(folder, 'file-')), 'mixed.safetensors');
  await writeFile(path, writeSafetensors(Object.entries(tensors), [['cases', JSON.stringify(cases)]]));
  const open = async () => openSafetensors(await openFile(path));
  const checks = await goldenChecks(open, path, 'golden/mixed', compositions);
  const backend = await reference().create();
  try {
    return (await runConformance(backend, { checks })).checks;
  } finally {
    await backend.dispose();
  }
}

const CONVOLUTION = {
  'conv/in.x': float32([1, 3, 1], 1, 2, 4),
  'conv/in.weight': float32([1, 2], 10, 1),
  'conv/in.bias': float32([1], 0.5),
  'conv/in.initial_state': float32([1, 1, 1], 3),
  'conv/out.y': float64([1, 3, 1], 31.5, 12.5, 24.5),
  'conv/out.last_state': float64([1, 1, 1], 4),
  'conv/in.dy': float32([1, 3, 1], 1, 1, 1),
  // Each x is multiplied by the newer weight at its own step, and by the older one at the next step.
  'conv/grad.x': float64([1, 3, 1], 11, 11, 1),
  'conv/grad.bias': float64([1], 3),
};

test('operations of the contract are checked, others are listed with the reason', async () => {
  const results = await check(
    {
      conv: { op: 'causal_conv1d', activation: 'none' },
      rows: { op: 'embedding' },
      norm: { op: 'layer_norm', eps: 0 },
      gate: { op: 'multiply', activation: 'relu2', scale: 0.5 },
      half: { op: 'multiply' },
      cell: { op: 'lstm' },
    },
    {
      ...CONVOLUTION,
      'rows/in.weight': float32([2, 2], 1, 2, 3, 4),
      'rows/in.ids': { dtype: 'int32', shape: [1, 3], data: Int32Array.of(1, 0, 1) },
      'rows/in.dy': float32([1, 3, 2], 1, 1, 1, 1, 1, 1),
      'rows/out.y': float64([1, 3, 2], 3, 4, 1, 2, 3, 4),
      'rows/grad.weight': float64([2, 2], 1, 1, 2, 2),
      'norm/in.x': float32([2, 2], 1, 5, -3, 3),
      'norm/in.bias': float32([2], 10, 20),
      'norm/out.y': float64([2, 2], 9, 21, 9, 21),
      'gate/in.a': float32([3], 2, -2, 4),
      'gate/in.b': float32([3], 3, 1, -1),
      'gate/out.y': float64([3], 6, 0, -8),
      'half/in.a': float32([2], 2, -2),
      'half/out.y': float64([2], 2, -2),
      'cell/in.x': float32([1], 1),
      'cell/out.y': float64([1], 1),
    },
  );
  expect(results.map(({ id, status, reason }) => [id, status, reason])).toEqual([
    ['golden/mixed/conv', 'passed', undefined],
    ['golden/mixed/conv/gradients', 'passed', undefined],
    ['golden/mixed/rows', 'passed', undefined],
    ['golden/mixed/rows/gradients', 'passed', undefined],
    ['golden/mixed/norm', 'passed', undefined],
    ['golden/mixed/gate', 'passed', undefined],
    ['golden/mixed/half', 'passed', undefined],
    ['golden/mixed/cell', 'skipped', 'this suite knows no operation lstm'],
  ]);
});

test.each([
  ['a wrong result', { 'conv/out.y': float64([1, 3, 1], 31.5, 12.5, 24.6) }, 'out.y'],
  ['a wrong gradient', { 'conv/grad.bias': float64([1], 2) }, 'grad.bias'],
  ['an input of another operation', { 'conv/in.delta': float32([1], 2) }, '-'],
  ['a gradient of nothing', { 'conv/grad.resets': float64([1], 2) }, '-'],
  ['an activation that does not exist', {}, '-', 'gelu'],
])('%s fails', async (_, changed, tensor, activation = 'none') => {
  const results = await check({ conv: { op: 'causal_conv1d', activation } }, { ...CONVOLUTION, ...changed });
  const failed = results.flatMap(({ reports }) => reports.filter(({ pass }) => !pass).map((report) => report.tensor));
  expect(new Set(failed)).toEqual(new Set([tensor]));
});

test('a gradient that is 0 by mathematics is compared with the largest of its case', async () => {
  const results = await check(
    { conv: { op: 'causal_conv1d', activation: 'none' } },
    {
      ...CONVOLUTION,
      'conv/in.dy': float32([1, 3, 1], 1, 0, 0),
      'conv/grad.x': float64([1, 3, 1], 1, 0, 1e-17),
      'conv/grad.bias': float64([1], 1),
    },
  );
  expect(results.map(({ status }) => status)).toEqual(['passed', 'passed']);
});

const SQUARE: GoldenCompositions = {
  square: {
    required: ['x'],
    compute: (backend, { x }, { options }) => ({ y: backend.multiply(x!, x, { scale: Number(options.scale) }) }),
  },
};

test('a composition is checked with the gradients of the tape, and 0 for inputs that it does not use', async () => {
  const cases = { two: { op: 'square', scale: 2 }, nothing: { op: 'square', scale: 2 } };
  const tensors = {
    'two/in.x': float32([2], 3, -1),
    'two/in.unused': float32([1], 7),
    'two/in.dy': float32([2], 1, 10),
    'two/out.y': float64([2], 18, 2),
    'two/grad.x': float64([2], 12, -40),
    'two/grad.unused': float64([1], 0),
    'nothing/in.a': float32([1], 1),
    'nothing/out.y': float64([1], 2),
  };
  const results = await check(cases, tensors, SQUARE);
  expect(results.map(({ id, status }) => [id, status])).toEqual([
    ['golden/mixed/two', 'passed'],
    ['golden/mixed/two/gradients', 'passed'],
    ['golden/mixed/nothing', 'failed'],
  ]);
  const wrong = await check(cases, { ...tensors, 'two/grad.x': float64([2], 12, -41) }, SQUARE);
  expect(wrong.map(({ status }) => status)).toEqual(['passed', 'failed', 'failed']);
});

test('a loss, a clipped gradient, an update and a schedule are worked out by what they are made of', async () => {
  const cases = {
    loss: { op: 'cross_entropy', ignore_index: -100, label_smoothing: 0 },
    clip: { op: 'clip_by_norm', max_norm: 2.5 },
    step: { op: 'adamw', lr: [0.1], betas: [0.5, 0.75], eps: 0, weight_decay: 0.5 },
    rate: { op: 'cosine_schedule', steps: 4, first: 1, max_lr: 2, min_lr: 1, warmup: 1, total: 3 },
  };
  const tensors = {
    'loss/in.logits': float32([1, 2, 2], 0, 0, 5, 7),
    'loss/in.targets': { dtype: 'int32', shape: [1, 2], data: Int32Array.of(1, -100) } satisfies HostTensor,
    'loss/out.loss': float64([], Math.LN2),
    'loss/grad.logits': float64([1, 2, 2], 0.5, -0.5, 0, 0),
    'clip/in.g0': float32([1], 3),
    'clip/in.g1': float32([1], -4),
    'clip/out.g0': float64([1], (3 * 2.5) / 5.000001),
    'clip/out.g1': float64([1], (-4 * 2.5) / 5.000001),
    'clip/out.norm': float64([], 5),
    'step/in.param': float32([1], 2),
    'step/in.grads': float32([1, 1], -3),
    'step/out.param': float64([1, 1], 2 * 0.95 + 0.1),
    'step/out.exp_avg': float64([1, 1], -1.5),
    'step/out.exp_avg_sq': float64([1, 1], 2.25),
    'rate/out.lr': float64([4], 2, 2, 1.5, 1),
  };
  expect((await check(cases, tensors)).map(({ id, status }) => [id, status])).toEqual([
    ['golden/mixed/loss', 'passed'],
    ['golden/mixed/loss/gradients', 'passed'],
    ['golden/mixed/clip', 'passed'],
    ['golden/mixed/step', 'passed'],
    ['golden/mixed/rate', 'passed'],
  ]);
  const wrong = { ...tensors, 'step/out.param': float64([1, 1], 3), 'rate/out.lr': float64([4], 2, 2, 1.6, 1) };
  const failed = (await check(cases, wrong)).filter(({ status }) => status === 'failed').map(({ id }) => id);
  expect(failed).toEqual(['golden/mixed/step', 'golden/mixed/rate']);
});
