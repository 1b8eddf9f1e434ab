/** A training in float32, on the built cpu backend, which the command line finds as users have it found. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBackend } from '../src/cli/backends.ts';
import { TrainableModel } from '../src/model/trainable.ts';
import { openTraining } from '../src/save/read.ts';
import { RunFolder } from '../src/save/run-folder.ts';
import { inductionHeads } from '../src/tasks/induction-heads.ts';
import { taskBatches } from '../src/tasks/task.ts';
import { Trainer } from '../src/trainer/trainer.ts';
import { everyValue, tinyModel, trainTo } from './helpers.ts';

const OPTIONS = { steps: 8, peak: 1e-2, warmup: 2 };
const data = () => taskBatches(inductionHeads(), { batch: 2, lengths: [5, 8], seed: 5 });

let cpu: Backend;
let reference: Backend;
let folder: string;
beforeAll(async () => {
  cpu = await openBackend('cpu', 'float32');
  reference = await openBackend('reference', 'float32');
  folder = await mkdtemp(join(tmpdir(), 'mamba-train-'));
});
afterAll(async () => {
  for (const backend of [cpu, reference]) await backend.dispose();
  await rm(folder, { recursive: true });
});

async function newTrainer(backend: Backend): Promise<Trainer> {
  return new Trainer(await tinyModel(backend), data(), OPTIONS);
}

function dispose(trainer: Trainer): void {
  trainer.dispose();
  trainer.model.dispose();
}

describe('a training on cpu', () => {
  it('has the losses of the reference', async () => {
    const [own, exact] = [await newTrainer(cpu), await newTrainer(reference)];
    const [given, expected] = [await trainTo(own, 8), await trainTo(exact, 8)];
    for (const [index, { loss, norm }] of expected.entries()) {
      // Eight steps of AdamW, which divides by small second moments, may amplify rounding.
      expect(Math.abs(given[index]!.loss - loss)).toBeLessThan(1e-3 * loss);
      expect(Math.abs(given[index]!.norm - norm)).toBeLessThan(1e-2 * norm);
    }
    for (const trainer of [own, exact]) dispose(trainer);
  });

  it('goes on from a save with the same bits', async () => {
    const whole = await newTrainer(cpu);
    const metrics = await trainTo(whole, 8);
    const first = await newTrainer(cpu);
    const early = await trainTo(first, 3);
    const run = new RunFolder(folder);
    await run.save(first);
    dispose(first);
    const saved = await openTraining(run.pathOf(3));
    const model = await TrainableModel.create(cpu, saved.config, saved.source, { exact: saved.exact });
    const second = new Trainer(model, data(), OPTIONS);
    await saved.restore(second);
    await saved.close();
    expect([...early, ...(await trainTo(second, 8))]).toEqual(metrics);
    expect(await everyValue(second)).toEqual(await everyValue(whole));
    for (const trainer of [whole, second]) dispose(trainer);
    expect(cpu.memory().tensors).toBe(0);
  });
});

it('refuses a precision that the backend does not have, and says what to do', async () => {
  await expect(openBackend('cpu', 'float16x2')).rejects.toThrow(/has no matrix units for float16x2 here.*float32/);
});
