import type { EmbeddingCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** `y[i, :] = table[ids[i], :]` */
export function embedding({ table, ids, count, channels }: EmbeddingCall<Input>): Storage {
  const [rows, at] = [floats(table), integers(ids)];
  const y = newFloats(count * channels);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) y[i * channels + c] = rows[at[i]! * channels + c]!;
  }
  return y;
}
