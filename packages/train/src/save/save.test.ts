import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, temporaryPath } from '@mamba/checkpoint';
import { type Backend, createModel, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyValue, textTokens, tinyModel, trainTo } from '../../test/helpers.ts';
import { defineTimeInvariant } from '../blocks/time-invariant.ts';
import type { BatchSource } from '../data/batches.ts';
import { byteTokenizerFiles } from '../data/byte-tokenizer.ts';
import { Corpus } from '../data/corpus.ts';
import { segmentsInOrder } from '../data/segments.ts';
import { BYTE_END } from '../data/tokens.ts';
import { shuffledWindows } from '../data/windows.ts';
import { initialParameters } from '../model/initialise.ts';
import { TrainableModel } from '../model/trainable.ts';
import { inductionHeads } from '../tasks/induction-heads.ts';
import { taskBatches } from '../tasks/task.ts';
import { Trainer } from '../trainer/trainer.ts';
import { openTraining } from './read.ts';
import { RunFolder } from './run-folder.ts';

let backend: Backend;
let folder: string;
beforeAll(async () => {
  backend = await reference().create();
  folder = await mkdtemp(join(tmpdir(), 'mamba-train-'));
});
afterAll(async () => {
  await backend.dispose();
  await rm(folder, { recursive: true });
});

const OPTIONS = { steps: 6, peak: 1e-2, warmup: 2 };
const corpus = Corpus.of([textTokens('In the beginning God created the heaven and the earth.')], { end: BYTE_END });
const SOURCES: Readonly<Record<string, () => BatchSource>> = {
  tasks: () => taskBatches(inductionHeads(), { batch: 2, lengths: [5, 8], seed: 5 }),
  windows: () => shuffledWindows(corpus, { batch: 2, length: 12, seed: 1 }),
  'segments with a carried state': () => segmentsInOrder(corpus, { batch: 2, length: 5 }),
};

async function newTrainer(data: BatchSource): Promise<Trainer> {
  return new Trainer(await tinyModel(backend, 257), data, OPTIONS);
}

async function resumed(path: string, data: BatchSource): Promise<Trainer> {
  const saved = await openTraining(path);
  const { config, source } = saved;
  const model = await TrainableModel.create(backend, config, source, { exact: saved.exact });
  const trainer = new Trainer(model, data, OPTIONS);
  await saved.restore(trainer);
  await saved.close();
  return trainer;
}

function dispose(trainer: Trainer): void {
  trainer.dispose();
  trainer.model.dispose();
}

describe('a training that goes on from a save', () => {
  for (const [name, data] of Object.entries(SOURCES))
    it(`comes to the same bits: ${name}`, async () => {
      const before = backend.memory().tensors;
      const run = new RunFolder(join(folder, name));
      const whole = await newTrainer(data());
      const metrics = await trainTo(whole, 6);
      const first = await newTrainer(data());
      const early = await trainTo(first, 3);
      await run.save(first);
      dispose(first);
      const second = await resumed(run.pathOf(3), data());
      const late = await trainTo(second, 6);
      expect([...early, ...late]).toEqual(metrics);
      expect(await everyValue(second)).toEqual(await everyValue(whole));
      dispose(whole);
      dispose(second);
      expect(backend.memory().tensors).toBe(before);
    });

  it('refuses other data, and other files', async () => {
    const trainer = await newTrainer(SOURCES.windows!());
    const run = new RunFolder(join(folder, 'refused'));
    await run.save(trainer);
    const before = backend.memory().tensors;
    const saved = await openTraining(run.pathOf(0));
    const other = new Trainer(trainer.model, SOURCES.tasks!(), OPTIONS);
    await expect(saved.restore(other)).rejects.toThrow(/belongs to other data: got kind "windows"/);
    other.dispose();
    await saved.close();
    expect(backend.memory().tensors).toBe(before);
    dispose(trainer);
    await rm(join(run.pathOf(0), 'training.json'));
    await expect(openTraining(run.pathOf(0))).rejects.toThrow(/training.json cannot be used: got no such file/);
  });
});

describe('a save', () => {
  it('is a checkpoint that others load, with its tokenizer', async () => {
    const trainer = await newTrainer(SOURCES.windows!());
    await trainer.run({ until: 2 });
    const run = new RunFolder(join(folder, 'checkpoint'));
    const specialTokens = { bos: undefined, eos: [BYTE_END] };
    await run.save(trainer, { files: byteTokenizerFiles(), specialTokens, options: { lr: 1 } });
    expect((await readdir(run.pathOf(2))).sort()).toEqual([
      ...['config.json', 'model.safetensors', 'optimizer.safetensors'],
      ...['tokenizer.json', 'tokenizer_config.json', 'training.json'],
    ]);
    const checkpoint = await openCheckpoint(run.pathOf(2));
    expect([checkpoint.family, checkpoint.specialTokens.eos]).toEqual(['mamba', [BYTE_END]]);
    expect((await checkpoint.tokenizerFiles()).json).toBeDefined();
    const loaded = await createModel(backend, checkpoint.config, checkpoint.source);
    const own = await trainer.model.model();
    const [a, b] = [own, loaded].map((model) => model.forward([[1, 2, 3]]));
    const [expected, given] = [await backend.read(a!.logits!), await backend.read(b!.logits!)];
    for (const [index, logit] of expected.entries()) expect(given[index]).toBeCloseTo(logit, 5);
    for (const model of [own, loaded]) model.dispose();
    const saved = await openTraining(run.pathOf(2));
    expect([saved.step, saved.options]).toEqual([2, { lr: 1 }]);
    await saved.close();
    await checkpoint.close();
    dispose(trainer);
  });

  it('is in the layout of Hugging Face for Mamba-2 too, and goes on to the same bits', async () => {
    const block = { kind: 'mamba2', heads: 4, headDim: 2, dState: 3, dConv: 4, groups: 2, dtMax: 0.2 } as const;
    const config = modelConfig({ dModel: 4, vocabSize: 16, blocks: [block, block] });
    const model = await TrainableModel.create(backend, config, initialParameters(config, { seed: 1 }));
    for (const value of await backend.read(model.parameter('layers.1.block.A').tensor)) {
      // What is trained is the logarithm of -A, and A is from -16 to -1.
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(Math.log(16));
    }
    const trainer = new Trainer(model, SOURCES.tasks!(), OPTIONS);
    await trainTo(trainer, 3);
    const run = new RunFolder(join(folder, 'mamba2'));
    await run.save(trainer);
    const { family, config: read, close } = await openCheckpoint(run.pathOf(3));
    await close();
    expect(family).toBe('mamba2');
    expect(read.blocks[1]).toEqual({ ...config.blocks[1], normEps: 1e-5 });
    const again = await resumed(run.pathOf(3), SOURCES.tasks!());
    for (const each of [trainer, again]) await each.run();
    expect(await everyValue(again)).toEqual(await everyValue(trainer));
    dispose(trainer);
    dispose(again);
  });

  it('holds a model that no family of checkpoints has', async () => {
    defineTimeInvariant();
    const block = { kind: 'time-invariant', dInner: 8, dState: 2, dConv: 4 } as const;
    const config = modelConfig({ dModel: 4, vocabSize: 16, blocks: [block] });
    const model = await TrainableModel.create(backend, config, initialParameters(config, { seed: 1 }));
    const trainer = new Trainer(model, SOURCES.tasks!(), OPTIONS);
    await trainTo(trainer, 3);
    const run = new RunFolder(join(folder, 'time-invariant'));
    await run.save(trainer);
    expect((await readdir(run.pathOf(3))).sort()).toEqual(['optimizer.safetensors', 'training.json']);
    const again = await resumed(run.pathOf(3), SOURCES.tasks!());
    for (const each of [trainer, again]) await each.run();
    expect(await everyValue(again)).toEqual(await everyValue(trainer));
    const saved = await openTraining(run.pathOf(3));
    const a = { ...again.model.parameter('layers.0.block.A') };
    expect((await saved.source(a)).data.every((value) => value < 0)).toBe(true);
    await saved.close();
    dispose(trainer);
    dispose(again);
  });

  it('is kept while it is among the newest, and leaves no parts behind', async () => {
    const trainer = await newTrainer(SOURCES.tasks!());
    const run = new RunFolder(join(folder, 'kept'), { keep: 2 });
    expect(await run.steps()).toEqual([]);
    for (let step = 1; step <= 4; step++) {
      await trainer.run({ until: step });
      await run.save(trainer);
      await run.save(trainer);
    }
    expect((await readdir(run.path)).sort()).toEqual(['step-000003', 'step-000004']);
    expect(await run.steps()).toEqual([3, 4]);
    dispose(trainer);
  });

  it('gives up its folder where it fails', async () => {
    const trainer = await newTrainer(SOURCES.tasks!());
    trainer.model.dispose();
    const run = new RunFolder(join(folder, 'failed'));
    await expect(run.save(trainer)).rejects.toMatchObject({ code: 'disposed' });
    expect(existsSync(run.pathOf(0))).toBe(false);
    trainer.dispose();
  });
});

describe('a run folder', () => {
  it('removes what a killed process left, and the metrics after the last save', async () => {
    const run = new RunFolder(join(folder, 'killed'));
    await run.begin(0);
    for (const step of [1, 2, 3]) run.log({ step });
    await writeFile(join(run.path, 'metrics.jsonl'), '{"step":4,"lo', { flag: 'a' });
    // The process 2^22 + 1 is beyond the largest number of a process.
    const stale = temporaryPath(run.pathOf(3)).replace(/-\d+-/, `-${2 ** 22 + 1}-`);
    await mkdir(stale);
    await run.begin(2);
    run.log({ step: 3, loss: 1 });
    expect(await readFile(join(run.path, 'metrics.jsonl'), 'utf8')).toBe(
      '{"step":1}\n{"step":2}\n{"step":3,"loss":1}\n',
    );
    expect(existsSync(stale)).toBe(false);
  });

  it('says where it cannot write', async () => {
    await writeFile(join(folder, 'file'), '');
    const run = new RunFolder(join(folder, 'file'));
    await expect(run.begin(0)).rejects.toMatchObject({ code: 'io' });
    await expect(run.steps()).rejects.toMatchObject({ code: 'io' });
    expect(() => run.log({ step: 1 })).toThrow(/cannot be written/);
  });
});
