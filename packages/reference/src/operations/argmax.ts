import type { ArgmaxCall } from '@mamba/core/driver';
import { floats, type Input, newIntegers, type Storage } from '../storage.ts';

/** Index of the largest value of each row: the lowest wins a tie, NaN is the smallest, a row of NaN gives 0. */
export function argmax({ logits, rows, vocab }: ArgmaxCall<Input>): Storage {
  const ids = newIntegers(rows);
  for (let r = 0; r < rows; r++) ids[r] = argmaxOfRow(floats(logits), r * vocab, vocab);
  return ids;
}

export function argmaxOfRow(values: Float64Array, offset: number, size: number): number {
  let best = 0;
  for (let i = 1; i < size; i++) {
    const [value, top] = [values[offset + i]!, values[offset + best]!];
    if (value > top || (Number.isNaN(top) && !Number.isNaN(value))) best = i;
  }
  return best;
}
