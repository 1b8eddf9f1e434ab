import type { ArgmaxCall } from '@mamba/core/driver';
import { floats, type Input, newIntegers, type Storage } from '../storage.ts';

/**
 * Index of the largest value of each row: the lowest wins a tie, NaN is the smallest, a row of NaN gives 0; -1 where it
 * is checked.
 */
export function argmax({ logits, rows, vocab, checked = false }: ArgmaxCall<Input>): Storage {
  const ids = newIntegers(rows);
  const values = floats(logits);
  for (let r = 0; r < rows; r++)
    ids[r] = checked && !decides(values, r * vocab, vocab) ? -1 : argmaxOfRow(values, r * vocab, vocab);
  return ids;
}

/** Whether a token follows from a row: all of it is finite. */
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
