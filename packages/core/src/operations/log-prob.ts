import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkCotangent, checkIntegers, like } from './check.ts';
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

export function resolveLogProb<T extends TensorSpec>(
  logits: T,
  ids: T,
  origin = 'logProb',
): { call: LogProbCall<T>; outputs: TensorSpec } {
  const { rows, channels: vocab, leading } = lastAxis(`${origin}.logits`, logits);
  checkActivation(`${origin}.logits`, logits);
  checkIntegers(`${origin}.ids`, ids, leading, 'as logits without the last axis', vocab);
  return { call: { logits, ids, rows, vocab }, outputs: { shape: leading, dtype: logits.dtype } };
}

/**
 * The gradient of `logProb`'s logits: `dlogits[…, v] = dy[…] ((v = ids[…]) - softmax(logits[…])[v])`, in their shape.
 */
export interface LogProbBackwardCall<T> extends LogProbCall<T> {
  readonly dy: T;
}

export function resolveLogProbBackward<T extends TensorSpec>(
  logits: T,
  ids: T,
  dy: T,
): { call: LogProbBackwardCall<T>; outputs: TensorSpec } {
  const origin = 'logProbBackward';
  const { call, outputs } = resolveLogProb(logits, ids, origin);
  checkCotangent(origin, dy, outputs);
  return { call: { ...call, dy }, outputs: like(logits) };
}
