import type { ChoiceOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkBoolean, checkOptions } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Index of the largest value of the last axis: logits `[…, vocab]` → int32 `[…]`. The lowest index wins a tie; NaN
 * counts as the smallest, and a row of NaN gives 0, so that an id is always one of the vocabulary. With `checked`, a
 * row that holds NaN or an infinity gives -1 instead.
 * @throws MambaError `invalid-argument` on a wrong dtype or option.
 */
export interface ArgmaxCall<T> {
  readonly logits: T;
  readonly rows: number;
  readonly vocab: number;
  /** Default false. */
  readonly checked?: boolean | undefined;
}

export function resolveArgmax<T extends TensorSpec>(
  logits: T,
  options: ChoiceOptions = {},
): { call: ArgmaxCall<T>; outputs: TensorSpec } {
  const { rows, channels: vocab, leading } = lastAxis('argmax.logits', logits);
  checkActivation('argmax.logits', logits);
  checkOptions('argmax', options, ['checked']);
  const checked = checkChoice('argmax', options);
  return {
    call: { logits, rows, vocab, ...(checked && { checked }) },
    outputs: { shape: leading, dtype: 'int32', range: { min: 0, max: vocab - 1 } },
  };
}

export function checkChoice(origin: string, { checked = false }: ChoiceOptions): boolean {
  checkBoolean(`${origin}.checked`, checked);
  return checked;
}
