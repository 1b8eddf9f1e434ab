/** Where a training gets its batches from. */
import { MambaError } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import type { Batch } from '../model/loss.ts';
import type { Corpus } from './corpus.ts';

/** A batch, and whether it goes on with the one before it. */
export interface TrainingBatch extends Batch {
  /** The rows go on where those of the batch before ended, so the state is carried over. Default false. */
  readonly continues?: boolean | undefined;
}

/** Plain data: the place in the data, beside what it belongs to. */
export type DataState = Readonly<Record<string, number | string | readonly number[]>>;

/** An endless sequence of batches, whose place can be saved and restored. */
export interface BatchSource {
  /** Whether batches may continue those before them, so that their last state is kept. Default false. */
  readonly carries?: boolean | undefined;
  /** The next batch. A source has no end: it begins again where its data ends. */
  next(): Promise<TrainingBatch>;
  /** The place, so that a source of the same data and options continues with the same batches. */
  state(): DataState;
  /** @throws MambaError `invalid-argument` where the state belongs to other data or options. */
  restore(state: DataState): void;
}

/**
 * Checks that a state belongs to a source.
 * @param expected What the state of this source has to say, but for its place.
 */
export function checkState(origin: string, state: DataState, expected: DataState): void {
  for (const [key, value] of Object.entries(expected)) {
    const [given, wanted] = [JSON.stringify(state[key]), JSON.stringify(value)];
    if (given === wanted) continue;
    throw new MambaError('invalid-argument', `${origin} belongs to other data`, {
      origin,
      given: `${key} ${given ?? 'nothing'}`,
      expected: `${key} ${wanted}, as here`,
      remedy: 'Go on with the data and options that it began with, or begin anew.',
    });
  }
}

/** A count in a state. @throws MambaError `invalid-argument` where it is none. */
export function countIn(origin: string, state: DataState, key: string): number {
  const count = state[key] as number;
  checkInteger(`${origin}: ${key}`, count, 0);
  return count;
}

/**
 * Rows of a corpus as a batch: targets are the next tokens, but -1 where a document or the corpus ends, and resets
 * mark where documents begin.
 * @param starts The place of each row's first token. A whole row has to follow.
 */
export async function rowsOf(corpus: Corpus, starts: readonly number[], length: number): Promise<Batch> {
  const batch = starts.length;
  const ids = new Int32Array(batch * length);
  const targets = new Int32Array(batch * length).fill(-1);
  const resets = new Int32Array(batch * length);
  const pieces = await Promise.all(
    starts.map((start) => corpus.read(start, Math.min(length + 1, corpus.tokens - start))),
  );
  for (const [row, piece] of pieces.entries()) {
    ids.set(piece.ids.subarray(0, length), row * length);
    resets.set(piece.begins.subarray(0, length), row * length);
    for (let step = 0; step + 1 < piece.ids.length; step++)
      if (piece.begins[step + 1] === 0) targets[row * length + step] = piece.ids[step + 1]!;
  }
  return { batch, length, ids, targets, ...(resets.includes(1) && { resets }) };
}
