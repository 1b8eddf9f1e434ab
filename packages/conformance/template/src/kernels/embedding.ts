import type { EmbeddingCall } from '@mamba/core/driver';
import { floatsOf, integersOf, type Memory, type Storage, type Tensor } from '../memory.ts';

/** Copies a row of the table for each id. An id below 0 stands for a token that could not be chosen: NaN. */
export function embedding(memory: Memory, { table, ids, count, channels }: EmbeddingCall<Tensor>): Storage {
  const rows = floatsOf(table);
  const [y] = memory.floats(count * channels);
  for (const [i, id] of integersOf(ids).entries()) {
    if (id < 0) y.fill(Number.NaN, i * channels, (i + 1) * channels);
    else y.set(rows.subarray(id * channels, (id + 1) * channels), i * channels);
  }
  return y;
}
