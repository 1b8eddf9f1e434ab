import { MambaError, type Model, type Tensor } from '@mamba/core';
import { checkInteger, scoped, yieldToEventLoop } from '@mamba/core/toolkit';
import { Random } from '../random.ts';
import { checkLengths, type Task, type TaskSequence } from './task.ts';

/** The lengths that a task is asked at, and how often. */
export interface AccuracyOptions {
  readonly lengths: readonly number[];
  /** Sequences at each length. Default 64. */
  readonly sequences?: number | undefined;
  /** Take another seed than that of the training. Default 0. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How many answers a model gives right at one length. */
export interface Accuracy {
  readonly length: number;
  /** Number of answers that were asked for. */
  readonly answers: number;
  /** Number of those that were given right: the likeliest token is the answer. */
  readonly right: number;
}

/** Tokens that are in a batch at most, and that are fed at once. */
const TOKENS = 2 ** 14;
const CHUNK = 2048;

/**
 * How often a model is right, length by length, on fresh sequences. What comes before the answers is fed in chunks, so
 * that the memory does not grow with the length, but for the ids themselves.
 * @throws MambaError `invalid-argument`, `aborted`, and the errors of the backend.
 */
export async function accuracy(model: Model, task: Task, options: AccuracyOptions): Promise<readonly Accuracy[]> {
  const { lengths, sequences = 64, seed = 0, signal } = options;
  checkLengths('accuracy.lengths', task, lengths);
  checkInteger('accuracy.sequences', sequences, 1);
  const results: Accuracy[] = [];
  for (const length of lengths) {
    const random = new Random(seed).fork(`${task.name} ${length}`);
    const atOnce = Math.max(1, Math.floor(TOKENS / length));
    let [answers, right] = [0, 0];
    for (let done = 0; done < sequences; done += atOnce) {
      await yieldToEventLoop();
      if (signal?.aborted) throw new MambaError('aborted', 'the test was aborted', { origin: 'accuracy' });
      const rows = Array.from({ length: Math.min(atOnce, sequences - done) }, () => task.draw(random, length));
      const given = await answersOf(model, rows);
      const wanted = rows.flatMap((row) => Array.from(row.answers));
      answers += wanted.length;
      right += wanted.filter((token, index) => given[index] === token).length;
    }
    results.push({ length, answers, right });
  }
  return results;
}

/** The likeliest tokens at the last positions of each row, one row after another. */
async function answersOf(model: Model, rows: readonly TaskSequence[]): Promise<ArrayLike<number>> {
  const chosen = scoped((scope): Tensor => {
    const border = rows[0]!.ids.length - rows[0]!.answers.length;
    const before = model.forward(
      rows.map(({ ids }) => ids.subarray(0, border)),
      { logits: 'none', chunk: CHUNK },
    );
    const last = rows.map(({ ids }) => ids.subarray(border));
    const after = model.forward(last, { state: scope.own(before.state), logits: 'all' });
    scope.own(after.state);
    return model.backend.argmax(scope.own(after.logits!));
  });
  try {
    return await model.backend.read(chosen);
  } finally {
    chosen.dispose();
  }
}
