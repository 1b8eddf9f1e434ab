import type { ArgmaxCall } from '@mamba/core/driver';
import { floats, type Input, newIntegers, type Storage } from '../storage.ts';

/**
 * The index of the largest value of each row. The lowest index wins a tie, NaN counts as the smallest, and a row of NaN
 * gives 0. With `checked`, a row with NaN or an infinity gives -1.
 */
export function argmax({ logits, rows, vocab, checked = false }: ArgmaxCall<Input>): Storage {
  const ids = newIntegers(rows);
  const values = floats(logits);
  for (let r = 0; r < rows; r++)
    ids[r] = checked && !decides(values, r * vocab, vocab) ? -1 : argmaxOfRow(values, r * vocab, vocab);
  return ids;
}

/** Whether a token can be chosen from a row, which is so if all its values are finite. */
export function decides(values: Float64Array, offset: number, size: number): boolean {
  return values.subarray(offset, offset + size).every(Number.isFinite);
}

export function argmaxOfRow(values: Float64Array, offset: number, size: number): number {
  let best = 0;
  for (let i = 1; i < size; i++) {
    const [value, top] = [values[offset + i]!, values[offset + best]!];
    if (value > top || (Number.isNaN(top) && !Number.isNaN(value))) best = i;
  }
  return best;
}
