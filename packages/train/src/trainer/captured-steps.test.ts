import { type Backend, type HostTensor, MambaError } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyValue, textTokens, tinyModel, trainTo } from '../../test/helpers.ts';
import type { BatchSource } from '../data/batches.ts';
import { Corpus } from '../data/corpus.ts';
import { segmentsInOrder } from '../data/segments.ts';
import { shuffledWindows } from '../data/windows.ts';
import { inductionHeads } from '../tasks/induction-heads.ts';
import { taskBatches } from '../tasks/task.ts';
import type { TrainerOptions } from './options.ts';
import { Trainer } from './trainer.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

const OPTIONS: TrainerOptions = { steps: 9, peak: 1e-2, warmup: 2 };
const heads = (...lengths: number[]): BatchSource => taskBatches(inductionHeads(), { batch: 2, lengths, seed: 5 });

/**
 * The backend, and how often captures of it were made and replayed so far, or are alive.
 * @param bytes What captures say that they hold. Default: the truth.
 */
function counting(bytes?: number) {
  const counts = { made: 0, replays: 0, alive: 0, most: 0 };
  const counted = new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'capture') return value.bind(target);
      const capture: NonNullable<Backend['capture']> = (inputs, run) => {
        const made = target.capture!(inputs, run);
        counts.made++;
        counts.most = Math.max(counts.most, ++counts.alive);
        return {
          get bytes() {
            return bytes ?? made.bytes;
          },
          get usable() {
            return made.usable;
          },
          replay(values: readonly HostTensor[]) {
            counts.replays++;
            return made.replay(values);
          },
          dispose() {
            counts.alive--;
            made.dispose();
          },
        };
      };
      return capture;
    },
  });
  return { counted, counts };
}

interface Trained {
  /** Captures that were alive at a time. */
  readonly most: number;
  readonly made: number;
  readonly replays: number;
  readonly metrics: unknown;
  readonly values: unknown;
}

/** Trains to the last step, and checks that nothing is left on the device. */
async function trained(
  data: BatchSource,
  options: TrainerOptions = OPTIONS,
  between: (trainer: Trainer, alive: number) => Promise<void> = async () => {},
  bytes?: number,
): Promise<Trained> {
  const before = backend.memory();
  const { counted, counts } = counting(bytes);
  const model = await tinyModel(counted, 257);
  const trainer = new Trainer(model, data, options);
  const first = await trainTo(trainer, 5);
  await between(trainer, counts.alive);
  const metrics = [...first, ...(await trainTo(trainer, trainer.steps))];
  const values = await everyValue(trainer);
  trainer.dispose();
  model.dispose();
  expect(backend.memory()).toEqual(before);
  expect(counts.alive).toBe(0);
  return { ...counts, metrics, values };
}

/** Trains with captures and without, and checks that all bits are the same. Returns the counts of the first. */
async function same(data: () => BatchSource, options?: TrainerOptions, between?: (trainer: Trainer) => Promise<void>) {
  const captured = await trained(data(), options, between);
  const called = await trained(data(), { ...OPTIONS, ...options, capture: false }, between);
  expect(called.made).toBe(0);
  expect(captured.metrics).toEqual(called.metrics);
  expect(captured.values).toEqual(called.values);
  return captured;
}

describe('captured steps', () => {
  it('are captured when a shape comes for the second time, gradients and update', async () => {
    const { made, replays } = await same(() => heads(6, 5));
    // Of 9 steps the first of each length is called.
    expect({ made, replays }).toEqual({ made: 4, replays: 14 });
  });

  it('take batches with documents that begin in them, whose number of targets varies', async () => {
    const corpus = () => Corpus.of(['In the beginning', 'God created', 'the heaven and the earth.'].map(textTokens));
    const { made } = await same(() => shuffledWindows(corpus(), { batch: 2, length: 8, seed: 3 }));
    expect(made).toBeGreaterThan(0);
  });

  it('add up batches of unequal lengths, and compute layers again', async () => {
    const options = { ...OPTIONS, accumulation: 2, checkpointing: true, labelSmoothing: 0.1, maxNorm: 0.1 };
    const { made, replays } = await same(() => heads(6, 5), options);
    expect({ made, replays }).toEqual({ made: 2, replays: 16 });
  });

  it('are captured again where moments were restored', async () => {
    const again = async ({ optimiser, model, step }: Trainer): Promise<void> => {
      const saved = new Map<string, { first: HostTensor; second: HostTensor }>();
      for (const [name, { first, second }] of optimiser.moments) {
        const host = async ({ shape }: typeof first, tensor: typeof first): Promise<HostTensor> => ({
          ...{ dtype: 'float64', shape },
          data: Float64Array.from(await model.backend.read(tensor)),
        });
        saved.set(name, { first: await host(first, first), second: await host(second, second) });
      }
      await optimiser.restore(async (name) => saved.get(name)!, step);
    };
    const { made } = await same(() => heads(6), OPTIONS, again);
    expect(made).toBe(4);
  });

  it('are called where a state is carried', async () => {
    const corpus = Corpus.of([textTokens('In the beginning God created the heaven and the earth.')]);
    const { made } = await same(() => segmentsInOrder(corpus, { batch: 1, length: 5 }));
    expect(made).toBe(0);
  });

  it('are limited in number, and called where too many shapes take turns', async () => {
    const lengths = [3, 4, 5, 6, 7, 8, 9, 10, 11];
    const { made } = await same(() => heads(...lengths), { ...OPTIONS, steps: 60 });
    // The first shape gives way to the ninth, the second to the first, and so on, until each has given way twice.
    expect(made).toBeLessThanOrEqual(2 * 3 * lengths.length);
    expect(made).toBeGreaterThan(2 * 8);
  });

  it('are kept one at a time where they are large, and not beyond the end of a run', async () => {
    const run = (data: BatchSource) => trained(data, OPTIONS, async (_, alive) => expect(alive).toBe(0), 2 ** 29 + 1);
    // Gradients and update say together that they hold more than all captures may.
    expect(await run(heads(6))).toMatchObject({ most: 2, made: 4 });
    expect(await run(heads(6, 5))).toMatchObject({ most: 2 });
  });

  it('are called where the backend refuses to capture them, which is tried once', async () => {
    let tried = 0;
    const refusing = new Proxy(backend, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'capture') return value.bind(target);
        return () => {
          tried++;
          throw new MambaError('unsupported', 'planted');
        };
      },
    });
    const model = await tinyModel(refusing);
    const trainer = new Trainer(model, heads(6), OPTIONS);
    await trainer.run();
    expect(tried).toBe(1);
    trainer.dispose();
    model.dispose();
  });
});
