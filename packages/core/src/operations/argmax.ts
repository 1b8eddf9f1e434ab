import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Index of the largest value of the last axis: logits `[…, vocab]` → int32 `[…]`. The lowest index wins a tie; NaN counts as the
 * smallest, and a row of NaN gives 0, so that an id is always one of the vocabulary.
 * @throws MambaError `invalid-argument` on a wrong dtype.
 */
export interface ArgmaxCall<T> {
  readonly logits: T;
  readonly rows: number;
  readonly vocab: number;
}

export function resolveArgmax<T extends TensorSpec>(logits: T): { call: ArgmaxCall<T>; outputs: TensorSpec } {
  const { rows, channels: vocab, leading } = lastAxis('argmax.logits', logits);
  checkActivation('argmax.logits', logits);
  return {
    call: { logits, rows, vocab },
    outputs: { shape: leading, dtype: 'int32', range: { min: 0, max: vocab - 1 } },
  };
}
