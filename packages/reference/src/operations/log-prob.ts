import type { LogProbCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { logSum } from './log-sum.ts';

/** `y[r] = logits[r, ids[r]] - max - log Σ_v exp(logits[r, v] - max)`, where max is the row's largest logit. */
export function logProb({ logits, ids, rows, vocab }: LogProbCall<Input>): Storage {
  const [values, at] = [floats(logits), integers(ids)];
  const y = newFloats(rows);
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * vocab, (r + 1) * vocab);
    const { max, log } = logSum(row);
    y[r] = row[at[r]!]! - max - log;
  }
  return y;
}
