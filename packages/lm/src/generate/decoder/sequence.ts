import type { ModelState } from '@mamba/core';
import { likeliest, logSumExp, type TokenLogProb } from '../../sampling/log-softmax.ts';
import { PenaltyWindow } from '../../sampling/penalty-window.ts';
import type { Generation } from '../options.ts';

/** A generated token. */
export interface GeneratedToken {
  readonly id: number;
  /**
   * In nats, under the model's own distribution: before bias, penalties, temperature and filters. Undefined unless
   * requested.
   */
  readonly logProb: number | undefined;
  /** The likeliest tokens at this position, likeliest first; undefined unless requested. */
  readonly topLogProbs: readonly TokenLogProb[] | undefined;
}

/** A running sequence: how its tokens are chosen, and the token that is fed next. */
export interface Sequence extends Pick<Generation, 'sampling' | 'uniform' | 'logProbs' | 'topLogProbs'> {
  /** The ids that the penalties count; undefined without penalties. */
  readonly window: PenaltyWindow | undefined;
  /** The last id, which has not been fed yet. */
  lastId: number;
}

/** @param previous The ids so far, the last one included, as far back as the penalties reach. */
export function newSequence(generation: Generation, previous: ArrayLike<number>): Sequence {
  const { sampling, uniform, logProbs, topLogProbs } = generation;
  const window = sampling.penalizes ? new PenaltyWindow(sampling.penaltyWindow, previous) : undefined;
  return { sampling, uniform, logProbs, topLogProbs, window, lastId: previous[previous.length - 1]! };
}

/** A model state, and the ids that have not been fed to it yet. */
export interface SequenceState {
  /** Zero if absent. */
  readonly state: ModelState | undefined;
  readonly pending: readonly number[];
}

/** Adds the requested log-probabilities to a chosen id. @param logits `[vocabSize]` */
export function describeToken(
  logits: Float32Array | Float64Array,
  id: number,
  { logProbs, topLogProbs }: Pick<Sequence, 'logProbs' | 'topLogProbs'>,
): GeneratedToken {
  return {
    id,
    logProb: logProbs ? logits[id]! - logSumExp(logits) : undefined,
    topLogProbs: topLogProbs > 0 ? likeliest(logits, topLogProbs) : undefined,
  };
}
