import type { EmbeddingCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** `y[i, :] = table[ids[i], :]`; NaN where the id is below 0. */
export function embedding({ table, ids, count, channels }: EmbeddingCall<Input>): Storage {
  const [rows, at] = [floats(table), integers(ids)];
  const y = newFloats(count * channels);
  for (let i = 0; i < count; i++) {
    if (at[i]! < 0) {
      y.fill(Number.NaN, i * channels, (i + 1) * channels);
      continue;
    }
    for (let c = 0; c < channels; c++) y[i * channels + c] = rows[at[i]! * channels + c]!;
  }
  return y;
}
