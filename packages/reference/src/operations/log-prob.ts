import type { LogProbCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * `y[r] = logits[r, ids[r]] - max - log Σ_v exp(logits[r, v] - max)`, where max is the row's largest logit. The first
 * logit equal to max adds 1 to the sum. The logarithm is log1p of the rest, which may be smaller than the rounding of 1
 * in float64.
 */
export function logProb({ logits, ids, rows, vocab }: LogProbCall<Input>): Storage {
  const [values, at] = [floats(logits), integers(ids)];
  const y = newFloats(rows);
  for (let r = 0; r < rows; r++) {
    let max = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < vocab; v++) max = Math.max(max, values[r * vocab + v]!);
    const row = values.subarray(r * vocab, (r + 1) * vocab);
    const largest = row.indexOf(max);
    let others = 0;
    for (const [v, logit] of row.entries()) if (v !== largest) others += Math.exp(logit - max);
    y[r] = row[at[r]!]! - max - Math.log1p(others);
  }
  return y;
}
