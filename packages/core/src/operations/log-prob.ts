import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkIntegers } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * The log-probability in nats of one token of each row: `y[…] = logits[…, ids[…]] - log Σ_v exp(logits[…, v])`, with
 * the row's maximum subtracted first; logits `[…, vocab]`, ids int32 `[…]`. Scoring a text thus reads one number for
 * each token, not its whole row of logits.
 * @throws MambaError `invalid-argument` on a wrong shape or dtype, and on ids outside the vocabulary.
 */
export interface LogProbCall<T> {
  readonly logits: T;
  readonly ids: T;
  readonly rows: number;
  readonly vocab: number;
}

export function resolveLogProb<T extends TensorSpec>(logits: T, ids: T): { call: LogProbCall<T>; outputs: TensorSpec } {
  const { rows, channels: vocab, leading } = lastAxis('logProb.logits', logits);
  checkActivation('logProb.logits', logits);
  checkIntegers('logProb.ids', ids, leading, 'as logits without the last axis', vocab);
  return { call: { logits, ids, rows, vocab }, outputs: { shape: leading, dtype: logits.dtype } };
}
