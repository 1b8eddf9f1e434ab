import type { CrossEntropyCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * `y[r] = log Σ_v exp(logits[r, v]) - (1 - s) logits[r, targets[r]] - s mean_v(logits[r, v])`, and 0 where the target
 * is below 0. The row's largest logit is subtracted from all logits first; the logarithm is log1p, since the rest of
 * the sum may be smaller than the rounding of 1.
 */
export function crossEntropy({ logits, targets, labelSmoothing, rows, vocab }: CrossEntropyCall<Input>): Storage {
  const [values, at] = [floats(logits), integers(targets)];
  const losses = newFloats(rows);
  for (let r = 0; r < rows; r++) {
    if (at[r]! < 0) continue;
    const row = values.subarray(r * vocab, (r + 1) * vocab);
    const max = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const largest = row.indexOf(max);
    let others = 0;
    let sum = 0;
    for (const [v, logit] of row.entries()) {
      if (v !== largest) others += Math.exp(logit - max);
      sum += logit - max;
    }
    // Without smoothing the mean has no weight, and an infinite logit must not make NaN of it.
    const spread = labelSmoothing === 0 ? 0 : labelSmoothing * (sum / vocab);
    losses[r] = Math.log1p(others) - (1 - labelSmoothing) * (row[at[r]!]! - max) - spread;
  }
  return losses;
}
