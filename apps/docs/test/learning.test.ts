/** What trainings left becomes a file of results. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';

const learning = (...args: readonly string[]) =>
  spawnSync(process.execPath, [join(root, 'apps/docs/scripts/learning.mjs'), ...args], { encoding: 'utf8' });

test('losses are means between points, beside the tests, the options and the time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-learning-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const step of ['step-000020', 'step-000040']) {
    mkdirSync(join(folder, step));
    writeFileSync(join(folder, step, 'training.json'), JSON.stringify({ options: { seed: 1 } }));
  }
  const steps = Array.from({ length: 40 }, (_, index) => ({
    ...{ step: index + 1, loss: index < 16 ? 4 : 2, tokens: 10 * (index + 1), tokensPerSecond: 100 },
  }));
  const tested = { step: 40, accuracy: [{ length: 8, answers: 64, right: 60 }] };
  const lines = [...steps, tested].map((line) => JSON.stringify(line));
  writeFileSync(join(folder, 'metrics.jsonl'), `${lines.join('\n')}\n`);
  const out = join(folder, 'learning.json');
  expect(learning(out, `one=${folder}`).stderr).toBe('');
  expect(JSON.parse(readFileSync(out, 'utf8')).runs).toEqual([
    {
      name: 'one',
      options: { seed: 1 },
      seconds: 4,
      losses: [
        { step: 16, loss: 4 },
        { step: 32, loss: 2 },
        { step: 40, loss: 2 },
      ],
      tests: [tested],
    },
  ]);
});

test('it says how it is called', () => {
  const { status, stderr } = learning('out.json', 'folder');
  expect([status, stderr]).toEqual([2, 'usage: learning.mjs OUT.json NAME=FOLDER…\n']);
});
