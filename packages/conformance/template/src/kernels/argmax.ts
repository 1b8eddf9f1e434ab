import type { ArgmaxCall } from '@mamba/core/driver';
import { floatsOf, type Memory, type Storage, type Tensor } from '../memory.ts';

/** The index of the largest logit of each row, and -1 where the call is `checked` and the row is not finite. */
export function argmax(memory: Memory, { logits, rows, vocab, checked = false }: ArgmaxCall<Tensor>): Storage {
  const [ids] = memory.integers(rows);
  for (let r = 0; r < rows; r++) {
    const row = floatsOf(logits).subarray(r * vocab, (r + 1) * vocab);
    ids[r] = checked && !row.every(Number.isFinite) ? -1 : indexOfLargest(row);
  }
  return ids;
}

/** The lowest index wins a tie, and NaN counts as the smallest value. */
export function indexOfLargest(row: Float32Array): number {
  let best = 0;
  // Nothing is above NaN, so a comparison that is negated leaves it for any number.
  for (let i = 1; i < row.length; i++) if (!Number.isNaN(row[i]) && !(row[i] <= row[best])) best = i;
  return best;
}
