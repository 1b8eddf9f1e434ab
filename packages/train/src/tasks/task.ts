import { checkInteger } from '@mamba/core/toolkit';
import { type BatchSource, checkState, countIn } from '../data/batches.ts';
import type { Batch } from '../model/loss.ts';
import { Random } from '../random.ts';

/** A sequence of a task. */
export interface TaskSequence {
  readonly ids: Int32Array;
  /** The tokens that the last positions have to name, `[answers]`. */
  readonly answers: Int32Array;
}

/** A synthetic task whose answers are due at the end of each sequence. */
export interface Task {
  readonly name: string;
  readonly vocabSize: number;
  /** The smallest length. */
  readonly least: number;
  /** Draws a sequence of this length; what counts as its length is the task's own. */
  draw(random: Random, length: number): TaskSequence;
}

/** @throws MambaError `invalid-argument` where the task has no sequences of a length. */
export function checkLengths(origin: string, task: Task, lengths: readonly number[]): void {
  checkInteger(`${origin}: the number of lengths`, lengths.length, 1);
  for (const length of lengths) checkInteger(origin, length, task.least, 2 ** 30);
}

/**
 * Fresh sequences of a task, batch by batch, at the given lengths in turn. Only answers have a target.
 * @throws MambaError `invalid-argument`
 */
export function taskBatches(
  task: Task,
  options: { readonly batch: number; readonly lengths: readonly number[]; readonly seed: number },
): BatchSource {
  const { batch, lengths, seed } = options;
  checkInteger('taskBatches.batch', batch, 1);
  checkLengths('taskBatches.lengths', task, lengths);
  const random = new Random(seed).fork(task.name);
  const identity = { kind: task.name, vocabSize: task.vocabSize, batch, lengths, seed };
  let drawn = 0;
  return {
    async next() {
      const length = lengths[drawn++ % lengths.length]!;
      return batchOf(Array.from({ length: batch }, () => task.draw(random, length)));
    },
    state: () => ({ ...identity, drawn, random: random.state() }),
    restore(state) {
      checkState('taskBatches.restore', state, identity);
      drawn = countIn('taskBatches.restore', state, 'drawn');
      random.restore(state.random as readonly number[]);
    },
  };
}

/** Sequences of one length as a batch. */
function batchOf(sequences: readonly TaskSequence[]): Batch {
  const batch = sequences.length;
  const length = sequences[0]!.ids.length;
  const ids = new Int32Array(batch * length);
  const targets = new Int32Array(batch * length).fill(-1);
  for (const [row, sequence] of sequences.entries()) {
    ids.set(sequence.ids, row * length);
    targets.set(sequence.answers, (row + 1) * length - sequence.answers.length);
  }
  return { batch, length, ids, targets };
}
