import type { LogProbCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** `y[r] = logits[r, ids[r]] - max - log Σ_v exp(logits[r, v] - max)`, where max is the row's largest logit. */
export function logProb({ logits, ids, rows, vocab }: LogProbCall<Input>): Storage {
  const [values, at] = [floats(logits), integers(ids)];
  const y = newFloats(rows);
  for (let r = 0; r < rows; r++) {
    let max = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < vocab; v++) max = Math.max(max, values[r * vocab + v]!);
    let sum = 0;
    for (let v = 0; v < vocab; v++) sum += Math.exp(values[r * vocab + v]! - max);
    y[r] = values[r * vocab + at[r]!]! - max - Math.log(sum);
  }
  return y;
}
