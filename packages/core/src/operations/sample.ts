import type { ChoiceOptions, SampleOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkChoice } from './argmax.ts';
import { checkActivation, checkDType, checkExact, checkInteger, checkNumber, checkOptions } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Draws one token for each row: logits `[…, vocab]`, uniform `[…]` in [0, 1) → int32 `[…]`. The caller gives the random
 * numbers, so that the same numbers give the same tokens on every backend, up to rounding.
 *
 *     p    = softmax(logits / temperature)                temperature 0: argmax, uniform is not used
 *     kept = the topK likeliest (lowest index wins a tie),
 *            of these, renormalised, the shortest prefix in order of likelihood that reaches topP (at least one),
 *            of these, those with p ≥ minP max(p)
 *     id   = the first index i, in index order, at which
 *           Σ_{j ≤ i, kept} p_j > uniform Σ_kept p; the last kept one if rounding leaves none
 *
 * Logits that are not finite: where the largest is infinite, or all are NaN, the draw is argmax; a NaN among other
 * values has probability 0. With `checked`, such a row gives -1, as it does in argmax.
 *
 * @throws MambaError `invalid-argument` on a wrong shape, dtype or option.
 */
export interface SampleCall<T> {
  readonly logits: T;
  readonly uniform: T;
  readonly rows: number;
  readonly vocab: number;
  readonly temperature: number;
  /** From 1 to vocab. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** Default false. */
  readonly checked?: boolean | undefined;
}

export function resolveSample<T extends TensorSpec>(
  logits: T,
  uniform: T,
  options: SampleOptions & ChoiceOptions = {},
): { call: SampleCall<T>; outputs: TensorSpec } {
  const { rows, channels: vocab, leading } = lastAxis('sample.logits', logits);
  checkActivation('sample.logits', logits);
  checkExact('sample.uniform', uniform, leading, 'as logits without the last axis');
  checkDType('sample.uniform', uniform, 'float32', 'float64');
  const { checked: marks, ...sampling } = options;
  const checked = checkChoice('sample', { checked: marks });
  const { temperature, topK, topP, minP } = checkSampleOptions('sample', sampling);
  return {
    call: {
      logits,
      uniform,
      rows,
      vocab,
      temperature,
      topK: Math.min(topK, vocab),
      topP,
      minP,
      ...(checked && { checked }),
    },
    outputs: { shape: leading, dtype: 'int32', range: { min: 0, max: vocab - 1 } },
  };
}

/** Checks options and fills in their defaults, for the operation, for decode, and for sampling on the host. */
export function checkSampleOptions(
  origin: string,
  options: SampleOptions,
): { temperature: number; topK: number; topP: number; minP: number } {
  checkOptions(origin, options, ['temperature', 'topK', 'topP', 'minP']);
  const { temperature = 1, topK = Number.MAX_SAFE_INTEGER, topP = 1, minP = 0 } = options;
  checkNumber(`${origin}.temperature`, temperature, 0, Number.MAX_VALUE);
  checkInteger(`${origin}.topK`, topK, 1);
  checkNumber(`${origin}.topP`, topP, 0, 1);
  checkNumber(`${origin}.minP`, minP, 0, 1);
  return { temperature, topK, topP, minP };
}
