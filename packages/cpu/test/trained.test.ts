/** The models that @mamba/train's recipes trained still answer, at lengths far beyond those of their training too. */
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@mamba/checkpoint';
import { type Backend, createModel } from '@mamba/core';
import { accuracy, inductionHeads, selectiveCopying, type Task } from '@mamba/train';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpu } from '../src/index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(() => backend.dispose());

async function score(name: string, task: Task, length: number, sequences: number): Promise<number> {
  const checkpoint = await openCheckpoint(fileURLToPath(new URL(`../../train/fixtures/${name}`, import.meta.url)));
  const model = await createModel(backend, checkpoint.config, checkpoint.source);
  await checkpoint.close();
  try {
    const [{ right, answers } = { right: 0, answers: 1 }] = await accuracy(model, task, {
      lengths: [length],
      sequences,
      seed: 7,
    });
    return right / answers;
  } finally {
    model.dispose();
  }
}

test.each([
  [64, 64],
  [256, 64],
  [8192, 2],
])('induction heads are right at length %i', async (length, sequences) => {
  expect(await score('induction-heads', inductionHeads(), length, sequences)).toBe(1);
});

test('selective copying is right at length 256', async () => {
  expect(await score('selective-copying', selectiveCopying(), 256, 32)).toBe(1);
});
