import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference as referenceProvider } from '@mamba/reference';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stopped } from '../../errors.ts';
import type { TaskRecipe } from '../../schema/versus.ts';
import { defineSystems } from '../systems.ts';
import { measureTask, type TaskContext } from './measure.ts';
import { TASK_MODELS } from './models.ts';

const recipe: TaskRecipe = {
  ...{ task: 'induction-heads', layers: 1, dModel: 16, feedForward: false },
  ...{ batch: 2, lengths: [4, 6], steps: 8, peak: 1e-3, warmup: 2, weightDecay: 0 },
  ...{ seed: 1, testSeed: 99, testLengths: [4, 9], sequences: 5 },
};
const text = Uint8Array.from({ length: 4000 }, (_, index) => 97 + (index % 3));
const language: TaskRecipe = {
  ...recipe,
  ...{ task: 'language', lengths: [16], steps: 60, peak: 1e-2, testLengths: [16, 32], sequences: 4 },
};
const [mamba] = TASK_MODELS;

let backend: Backend;
let reference: Backend;
beforeAll(async () => {
  defineSystems();
  [backend, reference] = [await cpu({ threads: 1 }).create(), await referenceProvider().create()];
});
afterAll(() => Promise.all([backend.dispose(), reference.dispose()]));

function contextOf(others: Partial<TaskContext> = {}): TaskContext {
  let time = 0;
  return {
    ...{ backend, reference, name: 'cpu', seconds: 60, corpus: undefined, signal: undefined },
    pause: async () => {},
    // A clock that goes on by a millisecond with each look.
    now: () => time++,
    begin: () => {},
    ...others,
  };
}

it('trains a model that agrees, tests it by length, and leaves nothing behind', async () => {
  const before = backend.memory().tensors;
  const row = await measureTask(mamba!, 'Mamba', recipe, contextOf());
  expect(row).toMatchObject({
    ...{ task: 'induction-heads', system: 'mamba', label: 'Mamba', backend: 'cpu', layers: 1, status: 'measured' },
    // Three inputs of the convolution and 16 states of 32 channels, in floats.
    ...{ state: 19 * 32 * 4, check: { pass: true } },
  });
  expect(row.accuracy!.map(({ length, answers }) => [length, answers])).toEqual([
    [4, 5],
    [9, 5],
  ]);
  expect(row.loss).toBeGreaterThan(0);
  expect(row.perSecond).toBeGreaterThan(0);
  expect(backend.memory().tensors).toBe(before);
});

it('gives the same answers again', async () => {
  const [first, second] = [
    await measureTask(mamba!, 'Mamba', recipe, contextOf()),
    await measureTask(mamba!, 'Mamba', recipe, contextOf()),
  ];
  expect([second.loss, second.accuracy]).toEqual([first.loss, first.accuracy]);
});

it('learns a text, and tells bits per byte of what was held out by length', async () => {
  const row = await measureTask(mamba!, 'Mamba', language, contextOf({ corpus: text }));
  expect(row.status).toBe('measured');
  // A text of three letters in turn is easy; without training it takes 8 bits.
  for (const { bitsPerByte } of row.heldOut!) expect(bitsPerByte).toBeLessThan(4);
  expect(row.heldOut!.map(({ length }) => length)).toEqual([16, 32]);
});

it('says that a language needs a text', async () => {
  expect(await measureTask(mamba!, 'Mamba', language, contextOf())).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining('from a text'),
  });
});

it('stops a training that would take too long, with its pace', async () => {
  const row = await measureTask(mamba!, 'Mamba', { ...recipe, steps: 1000 }, contextOf({ seconds: 1e-3 }));
  expect(row).toMatchObject({ status: 'stopped', reason: expect.stringContaining('are allowed') });
  expect(row.expected).toBeGreaterThan(1e-3);
  expect(row.perSecond).toBeGreaterThan(0);
  expect(row.accuracy).toBeUndefined();
});

it('trains nothing that disagrees', async () => {
  const wrong = await cpu({ threads: 1 }).create();
  const original = wrong.crossEntropy.bind(wrong);
  Object.defineProperty(wrong, 'crossEntropy', {
    value: (...args: Parameters<typeof original>) => {
      const losses = original(...args);
      const twice = wrong.add(losses, losses);
      losses.dispose();
      return twice;
    },
  });
  const row = await measureTask(mamba!, 'Mamba', recipe, contextOf({ backend: wrong }));
  expect(row).toMatchObject({ status: 'disagrees', check: { pass: false } });
  expect(row.perSecond).toBeUndefined();
  await wrong.dispose();
});

it('ends as a run that was stopped', async () => {
  const interruption = new AbortController();
  const begin = (label: string): void => {
    if (label.includes('step')) interruption.abort();
  };
  const measured = measureTask(mamba!, 'Mamba', recipe, contextOf({ signal: interruption.signal, begin }));
  await expect(measured).rejects.toBeInstanceOf(Stopped);
});
