import { invalid } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import type { Batch } from '../model/loss.ts';
import { Random } from '../random.ts';
import { type BatchSource, checkState, countIn, type DataState, rowsOf, type TrainingBatch } from './batches.ts';
import type { Corpus } from './corpus.ts';
import { permutation } from './permutation.ts';

/** The shape of a batch of windows. */
export interface WindowOptions {
  /** Rows of a batch. */
  readonly batch: number;
  /** Tokens of a row. */
  readonly length: number;
}

/**
 * The windows of a corpus in random order. Each epoch cuts it at other places, so that no border stays. A batch without
 * a target, as of one-token documents, is left out.
 * @throws MambaError `invalid-argument` where the corpus is shorter than a window and its last target.
 */
export function shuffledWindows(
  corpus: Corpus,
  { batch, length, seed }: WindowOptions & { readonly seed: number },
): BatchSource {
  checkInteger('shuffledWindows.batch', batch, 1);
  checkInteger('shuffledWindows.length', length, 1);
  if (corpus.tokens < length + 1)
    throw invalid('shuffledWindows.length', String(length), `less than the corpus, which has ${corpus.tokens} tokens`);
  const source = new Random(seed);
  const identity = { kind: 'windows', tokens: corpus.tokens, batch, length, seed };
  let [epoch, next] = [0, 0];
  let windows = cut();

  /** The windows of the present epoch. */
  function cut(): { readonly count: number; start(index: number): number } {
    const random = source.fork(`epoch ${epoch}`);
    const offset = random.integer(Math.min(length, corpus.tokens - length));
    const count = Math.floor((corpus.tokens - offset) / length);
    const order = permutation(count, random);
    return { count, start: (index) => offset + length * order(index) };
  }

  function starts(): readonly number[] {
    return Array.from({ length: batch }, () => {
      if (next === windows.count) {
        epoch++;
        next = 0;
        windows = cut();
      }
      return windows.start(next++);
    });
  }

  return {
    async next(): Promise<TrainingBatch> {
      return targeted(() => rowsOf(corpus, starts(), length), corpus);
    },
    state: (): DataState => ({ ...identity, epoch, next }),
    restore(state) {
      const origin = 'shuffledWindows.restore';
      checkState(origin, state, identity);
      [epoch, next] = [countIn(origin, state, 'epoch'), countIn(origin, state, 'next')];
      windows = cut();
    },
  };
}

/**
 * Windows of a corpus in order, for a loss of what was not trained: all of them, or as many as wanted, at equal
 * distances. The last batch may have fewer rows, and windows are as long as the corpus allows.
 */
export async function* windowsInOrder(
  corpus: Corpus,
  { batch, length: most, windows }: WindowOptions & { readonly windows?: number | undefined },
): AsyncGenerator<Batch, void, void> {
  if (corpus.tokens < 2) throw invalid('windowsInOrder.corpus', `${corpus.tokens} tokens`, 'at least two');
  const length = Math.min(most, corpus.tokens - 1);
  const all = Math.floor(corpus.tokens / length);
  const count = Math.min(all, windows ?? all);
  for (let first = 0; first < count; first += batch) {
    const rows = Math.min(batch, count - first);
    const starts = Array.from({ length: rows }, (_, row) => length * Math.floor(((first + row) * all) / count));
    const found = await rowsOf(corpus, starts, length);
    if (found.targets.some((target) => target >= 0)) yield found;
  }
}

/** The first batch with a target. @throws MambaError `invalid-argument` where a whole corpus went by without one. */
async function targeted(read: () => Promise<Batch>, corpus: Corpus): Promise<Batch> {
  for (let tokens = 0; tokens <= 2 * corpus.tokens; ) {
    const found = await read();
    if (found.targets.some((target) => target >= 0)) return found;
    tokens += found.batch * found.length;
  }
  throw invalid('corpus', 'documents of one token each', 'a token that follows another');
}
