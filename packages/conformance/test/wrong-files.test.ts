/** Files that deviate in one place each. The checks of golden files and checkpoints must fail for every one of them. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFile, openSafetensors, writeSafetensors } from '@mamba/checkpoint';
import type { HostTensor } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goldenChecks } from '../src/golden/check-golden.ts';
import { checkpointCheck } from '../src/golden/checkpoint.ts';
import type { Check } from '../src/runner/check.ts';
import { type CheckResult, runConformance } from '../src/runner/run.ts';
import { meanLoss } from './loss.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-wrong-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Contents = Map<string, { dtype: string; shape: number[]; data: Float64Array | Float32Array | Int32Array }>;
type Spoil = (tensors: Contents) => void;

const add = (name: string, at: number, amount: number): Spoil => {
  return (tensors) => {
    tensors.get(name)!.data[at]! += amount;
  };
};
const drop = (name: string): Spoil => {
  return (tensors) => void tensors.delete(name);
};
const rename = (from: string, to: string): Spoil => {
  return (tensors) => {
    tensors.set(to, tensors.get(from)!);
    tensors.delete(from);
  };
};
const reshape = (name: string, ...shape: number[]): Spoil => {
  return (tensors) => {
    tensors.get(name)!.shape = shape;
  };
};

/** Sets the loss to that of the file's own logits, plus some nats. */
const setLoss = (more: number): Spoil => {
  return (tensors) => {
    const { data: logits, shape } = tensors.get('logits')!;
    const loss = meanLoss(tensors.get('input_ids')!.data, logits, shape);
    tensors.set('loss', { dtype: 'float64', shape: [1], data: Float64Array.of(loss + more) });
  };
};

describe('checkpoints', () => {
  test.each<[string, Spoil, string]>([
    ['nothing', () => {}, ''],
    ['the oldest column of a conv state', add('conv_state.0', 0, 1), 'conv_state.0'],
    ['a logit', add('logits', 5, 1e-2), 'logits'],
    ['no logits', drop('logits'), 'logits'],
    ['a misspelt name', rename('logits', 'logit'), 'logit'],
    ['a layer without its state', drop('ssm_state.1'), 'ssm_state.1'],
    ['a hidden state too many', rename('greedy_ids', 'hidden_states.9'), 'hidden_states.9'],
    ['a loss', setLoss(0.1), 'loss'],
    ['the loss of these logits', setLoss(0), ''],
    ['flat logits', reshape('logits', 2 * 37 * 96), 'logits'],
    ['a relabelled state', reshape('ssm_state.0', 96, 2, 16), 'ssm_state.0'],
  ])('%s', async (_, spoil, tensor) => {
    const path = await mkdtemp(join(folder, 'checkpoint-'));
    await cp(join(fixtures, 'mamba-tiny'), path, { recursive: true });
    await rewrite(join(path, 'expected.safetensors'), join(path, 'expected.safetensors'), spoil);
    expectFailure(await run([checkpointCheck(path, path, 'checkpoint/spoilt')]), tensor);
  });
});

describe('golden scans', () => {
  test.each<[string, Spoil, string, string?]>([
    ['nothing', () => {}, ''],
    ['a value of y', add('len3/out.y', 0, 1e-3), 'out.y'],
    ['no y', drop('len3/out.y'), '-'],
    ['a misspelt kind', rename('len3/out.y', 'len3/output.y'), '-'],
    ['an input that is a property of every object', rename('len3/in.D', 'len3/in.constructor'), '-'],
    ['a flat y', reshape('len3/out.y', 2 * 3 * 8), 'out.y'],
    ['a gradient', add('len3/grad.u', 0, 1), 'grad.u'],
    ['sizes that are not the tensors’', () => {}, '-', '{"len3":{"softplus":true,"length":4}}'],
  ])('%s', async (_, spoil, tensor, cases = '{"len3":{"softplus":true,"length":3}}') => {
    const path = join(await mkdtemp(join(folder, 'golden-')), 'scan.safetensors');
    const only: Spoil = (tensors) => {
      for (const name of [...tensors.keys()]) if (!name.startsWith('len3/')) tensors.delete(name);
      spoil(tensors);
    };
    await rewrite(join(fixtures, 'scan-golden.safetensors'), path, only, { cases });
    const checks = await goldenChecks(async () => openSafetensors(await openFile(path)), path, 'golden/spoilt');
    expectFailure(await run(checks), tensor);
  });
});

async function run(checks: readonly Check[]): Promise<readonly CheckResult[]> {
  const backend = await reference().create();
  const summary = await runConformance(backend, { checks });
  await backend.dispose();
  return summary.checks;
}

/** Expects that the named tensor fails, or that none fails if the name is empty. */
function expectFailure(checks: readonly CheckResult[], tensor: string): void {
  const failed = checks.flatMap(({ reports }) => reports.filter(({ pass }) => !pass).map((report) => report.tensor));
  if (tensor === '') expect(failed).toEqual([]);
  else expect(failed).toContain(tensor);
}

/** Writes a file with its tensors changed. */
async function rewrite(from: string, to: string, spoil: Spoil, metadata: Record<string, string> = {}): Promise<void> {
  const file = await openSafetensors(await openFile(from));
  const tensors: Contents = new Map();
  for (const name of file.tensors.keys()) {
    const { dtype, shape, data } = await file.read(name);
    if (data instanceof Uint16Array) throw new Error(`${name} is stored in halves`);
    tensors.set(name, { dtype, shape: [...shape], data });
  }
  await file.close();
  spoil(tensors);
  const hosts = [...tensors].map(([name, tensor]) => [name, tensor as HostTensor] as const);
  await writeFile(to, writeSafetensors(hosts, Object.entries(metadata)));
}
