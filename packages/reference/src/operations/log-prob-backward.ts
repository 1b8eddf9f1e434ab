import type { LogProbBackwardCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { softmax } from './softmax.ts';

/** `dlogits[r, v] = dy[r] ((v = ids[r]) - softmax(logits[r])[v])` */
export function logProbBackward({ logits, ids, dy, rows, vocab }: LogProbBackwardCall<Input>): Storage {
  const [values, at, cotangents] = [floats(logits), integers(ids), floats(dy)];
  const dlogits = newFloats(rows * vocab);
  for (let r = 0; r < rows; r++) {
    const p = softmax(values.subarray(r * vocab, (r + 1) * vocab));
    for (let v = 0; v < vocab; v++) dlogits[r * vocab + v] = cotangents[r]! * ((v === at[r] ? 1 : 0) - p[v]!);
  }
  return dlogits;
}
