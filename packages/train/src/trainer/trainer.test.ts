import { bytesSource } from '@mamba/checkpoint';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyValue, textTokens, tinyModel } from '../../test/helpers.ts';
import type { BatchSource } from '../data/batches.ts';
import { Corpus } from '../data/corpus.ts';
import { segmentsInOrder } from '../data/segments.ts';
import { BYTE_END, binaryTokens } from '../data/tokens.ts';
import { shuffledWindows, windowsInOrder } from '../data/windows.ts';
import { inductionHeads } from '../tasks/induction-heads.ts';
import { taskBatches } from '../tasks/task.ts';
import { evaluateLoss } from './evaluate.ts';
import type { TrainerOptions } from './options.ts';
import { train } from './train.ts';
import { type StepMetrics, Trainer } from './trainer.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

const OPTIONS: TrainerOptions = { steps: 6, peak: 1e-2, warmup: 2 };

/** Trains a tiny model by `work`, and checks that nothing is left on the device. */
async function withTrainer<T>(
  data: BatchSource,
  options: TrainerOptions,
  work: (trainer: Trainer) => Promise<T>,
): Promise<T> {
  const before = backend.memory().tensors;
  const model = await tinyModel(backend, 257);
  const trainer = new Trainer(model, data, options);
  try {
    return await work(trainer);
  } finally {
    trainer.dispose();
    model.dispose();
    expect(backend.memory().tensors).toBe(before);
  }
}

const heads = (batch = 4): BatchSource => taskBatches(inductionHeads(), { batch, lengths: [6], seed: 5 });
const TEXT = 'In the beginning God created the heaven and the earth. ';
const verses = (): Corpus => Corpus.of([textTokens(TEXT), textTokens(TEXT.toUpperCase())], { end: BYTE_END });

/** What repeats bit for bit. */
const exact = ({ tokensPerSecond: _, ...others }: StepMetrics) => others;

describe('a trainer', () => {
  it('lowers the loss, and tells of every step in order', async () => {
    const metrics: StepMetrics[] = [];
    const data = shuffledWindows(verses(), { batch: 2, length: 12, seed: 2 });
    await withTrainer(data, { steps: 20, peak: 6e-2 }, (trainer) =>
      trainer.run({ onStep: (step) => metrics.push(step) }),
    );
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(metrics.at(-1)!.tokens).toBe(20 * 24);
    expect(metrics[0]!.loss).toBeGreaterThan(5.4);
    expect(metrics.at(-1)!.loss).toBeLessThan(4);
    expect(metrics[0]!.learningRate).toBe(6e-2);
  });

  it('adds up gradients as if batches were one', async () => {
    const run = (data: BatchSource, accumulation: number) =>
      withTrainer(data, { ...OPTIONS, accumulation }, async (trainer) => {
        const losses: number[] = [];
        await trainer.run({ onStep: ({ loss }) => losses.push(loss) });
        return { losses, values: await everyValue(trainer) };
      });
    const whole = await run(heads(4), 1);
    const parts = await run(heads(2), 2);
    for (const [index, loss] of whole.losses.entries()) expect(parts.losses[index]).toBeCloseTo(loss, 9);
    for (const [name, values] of whole.values)
      for (const [index, value] of values.entries()) expect(parts.values.get(name)![index]).toBeCloseTo(value, 7);
  });

  it('carries the state from segment to segment', async () => {
    const ids = Uint16Array.from({ length: 37 }, (_, index) => (index * index) % 17);
    const corpus = Corpus.of([binaryTokens(bytesSource(new Uint8Array(ids.buffer)), 'uint16')]);
    const losses: number[] = [];
    const data = segmentsInOrder(corpus, { batch: 1, length: 6 });
    await withTrainer(data, { steps: 6, peak: 0 }, async (trainer) => {
      await trainer.run({ onStep: ({ loss }) => losses.push(loss) });
      expect(trainer.carried!.positions).toEqual([36]);
      const model = await trainer.model.model();
      const whole = await evaluateLoss(model, windowsInOrder(corpus, { batch: 1, length: 36 }));
      model.dispose();
      expect(whole.targets).toBe(36);
      expect(losses.reduce((sum, loss) => sum + loss / 6, 0)).toBeCloseTo(whole.loss, 9);
    });
  });

  it('stops between steps when it is aborted, and goes on as if it had not been', async () => {
    const undisturbed: StepMetrics[] = [];
    const values = await withTrainer(heads(), OPTIONS, async (trainer) => {
      await trainer.run({ onStep: (step) => undisturbed.push(step) });
      return everyValue(trainer);
    });
    const metrics: StepMetrics[] = [];
    await withTrainer(heads(), OPTIONS, async (trainer) => {
      const aborter = new AbortController();
      const onStep = (step: StepMetrics): void => {
        metrics.push(step);
        if (step.step === 2) aborter.abort();
      };
      await expect(trainer.run({ signal: aborter.signal, onStep })).rejects.toMatchObject({ code: 'aborted' });
      expect(metrics.length).toBe(trainer.step);
      expect(trainer.step).toBeLessThan(6);
      await trainer.run({ onStep });
      expect(metrics.map(exact)).toEqual(undisturbed.map(exact));
      expect(await everyValue(trainer)).toEqual(values);
    });
  });

  it('lets timers run, which may abort it', async () => {
    await withTrainer(heads(), { steps: 1000, peak: 0 }, async (trainer) => {
      const aborter = new AbortController();
      setImmediate(() => aborter.abort());
      await expect(trainer.run({ signal: aborter.signal })).rejects.toMatchObject({ code: 'aborted' });
      expect(trainer.step).toBeLessThan(10);
    });
  });

  it('says at which step and in which gradient it diverged, and leaves the parameters as they were', async () => {
    await withTrainer(heads(), { steps: 6, peak: 1e200, maxNorm: Number.POSITIVE_INFINITY }, async (trainer) => {
      await trainer.run({ until: 1 });
      const before = await everyValue(trainer);
      const failure = await trainer.run().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'not-finite', origin: 'step 2: embedding' });
      expect((failure as Error).message).toMatch(/diverged at step 2: .*gradient of embedding holds NaN/);
      expect(await everyValue(trainer)).toEqual(before);
      expect(() => trainer.progress()).toThrow(/diverged at step 2/);
      await expect(trainer.run()).rejects.toBe(failure);
    });
  });

  it('frees what it made where a batch is wrong', async () => {
    const data = heads();
    const broken: BatchSource = {
      ...data,
      async next() {
        const batch = await data.next();
        return Number(data.state().drawn) < 3 ? batch : { ...batch, ids: batch.ids.map(() => 999) };
      },
    };
    await withTrainer(broken, OPTIONS, (trainer) => expect(trainer.run()).rejects.toThrow(/the id 999/));
  });

  it('refuses options that it does not know', async () => {
    const wrong = { ...OPTIONS, learningRate: 1 };
    const model = await tinyModel(backend);
    expect(() => new Trainer(model, heads(), wrong)).toThrow(/trainer.learningRate .*unknown option/);
    expect(() => new Trainer(model, heads(), { ...OPTIONS, steps: 0 })).toThrow(/trainer.steps/);
    model.dispose();
  });
});

describe('the loss of what is held out', () => {
  it('is that of the training, in pieces and with resets', async () => {
    const length = 40;
    const batches = () => windowsInOrder(verses(), { batch: 2, length });
    const data: BatchSource = {
      next: async () => (await batches().next()).value!,
      state: () => ({}),
      restore() {},
    };
    await withTrainer(data, { steps: 1, peak: 0 }, async (trainer) => {
      let loss = 0;
      await trainer.run({
        onStep: (step) => {
          loss = step.loss;
        },
      });
      const model = await trainer.model.model();
      for (const logits of [undefined, 257 * 2 * 7])
        expect((await evaluateLoss(model, batches(), { logits })).loss).toBeCloseTo(loss, 9);
      model.dispose();
    });
  });
});

describe('the loss of nothing', () => {
  it('is an error', async () => {
    await withTrainer(heads(), OPTIONS, async (trainer) => {
      const model = await trainer.model.model();
      await expect(evaluateLoss(model, (async function* () {})())).rejects.toThrow(/no target/);
      model.dispose();
    });
  });
});

describe('train', () => {
  it('evaluates and saves between steps, and after the last', async () => {
    const events: string[] = [];
    const interval = (name: string, every: number) => ({
      every,
      run: async (step: number) => void events.push(`${name} ${step}`),
    });
    await withTrainer(heads(), OPTIONS, (trainer) =>
      train(trainer, {
        ...{ evaluate: interval('evaluate', 2), save: interval('save', 4) },
        onStep: ({ step }) => void events.push(`step ${step}`),
      }),
    );
    expect(events).toEqual([
      ...['step 1', 'step 2', 'evaluate 2', 'step 3', 'step 4', 'evaluate 4', 'save 4'],
      ...['step 5', 'step 6', 'evaluate 6', 'save 6'],
    ]);
  });

  it('saves what was trained when it is aborted', async () => {
    const saved: number[] = [];
    await withTrainer(heads(), OPTIONS, async (trainer) => {
      const aborter = new AbortController();
      const save = { every: 100, run: async (step: number) => void saved.push(step) };
      const onStep = (): void => aborter.abort();
      await expect(train(trainer, { signal: aborter.signal, save, onStep })).rejects.toMatchObject({ code: 'aborted' });
      expect(saved).toEqual([trainer.step]);
    });
  });
});
