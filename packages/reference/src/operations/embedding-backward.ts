import type { EmbeddingBackwardCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** `dtable[ids[i], :] += dy[i, :]` for every id that is not below 0 */
export function embeddingBackward({ ids, dy, count, rows, channels }: EmbeddingBackwardCall<Input>): Storage {
  const [at, cotangents] = [integers(ids), floats(dy)];
  const dtable = newFloats(rows * channels);
  for (let i = 0; i < count; i++) {
    if (at[i]! < 0) continue;
    for (let c = 0; c < channels; c++) dtable[at[i]! * channels + c]! += cotangents[i * channels + c]!;
  }
  return dtable;
}
