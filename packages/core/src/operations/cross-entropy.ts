import { invalid } from '../contract/errors.ts';
import type { CrossEntropyOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkCotangent, checkIntegers, checkNumber, checkOptions, like } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * The loss in nats of each row of logits against its target. With p = softmax(logits) and s = labelSmoothing:
 *
 *     y[…] = -(1 - s) log p[targets[…]] - s / vocab Σ_v log p[v]
 *
 * and 0 where the target is below 0: such rows are ignored (PyTorch's -100). logits `[…, vocab]`, targets int32 `[…]`.
 * The mean over the rows that count is the caller's, who knows their number: it enters as the cotangent.
 * @throws MambaError `invalid-argument` on a wrong shape, dtype or option, and on targets beyond the vocabulary.
 */
export interface CrossEntropyCall<T> {
  readonly logits: T;
  readonly targets: T;
  readonly labelSmoothing: number;
  readonly rows: number;
  readonly vocab: number;
}

export function resolveCrossEntropy<T extends TensorSpec>(
  logits: T,
  targets: T,
  options: CrossEntropyOptions = {},
  origin = 'crossEntropy',
): { call: CrossEntropyCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, ['labelSmoothing']);
  const { labelSmoothing = 0 } = options;
  const { rows, channels: vocab, leading } = lastAxis(`${origin}.logits`, logits);
  checkActivation(`${origin}.logits`, logits);
  checkIntegers(`${origin}.targets`, targets, leading, 'as logits without the last axis');
  const { range } = targets;
  if (range !== undefined && range.max >= vocab)
    throw invalid(`${origin}.targets`, `a target of ${range.max}`, `targets up to ${vocab - 1}; below 0 is ignored`);
  checkNumber(`${origin}.labelSmoothing`, labelSmoothing, 0, 1);
  return { call: { logits, targets, labelSmoothing, rows, vocab }, outputs: { shape: leading, dtype: logits.dtype } };
}

/**
 * The gradient of `crossEntropy`'s logits, in their shape:
 *
 *     dlogits[…, v] = dy[…] (p[v] - (1 - s) (v = targets[…]) - s / vocab)
 *
 * and 0 in rows whose target is below 0.
 */
export interface CrossEntropyBackwardCall<T> extends CrossEntropyCall<T> {
  readonly dy: T;
}

export function resolveCrossEntropyBackward<T extends TensorSpec>(
  logits: T,
  targets: T,
  options: CrossEntropyOptions,
  dy: T,
): { call: CrossEntropyBackwardCall<T>; outputs: TensorSpec } {
  const origin = 'crossEntropyBackward';
  const { call, outputs } = resolveCrossEntropy(logits, targets, options, origin);
  checkCotangent(origin, dy, outputs);
  return { call: { ...call, dy }, outputs: like(logits) };
}
