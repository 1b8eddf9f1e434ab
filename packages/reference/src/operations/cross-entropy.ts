import type { CrossEntropyCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { logSum } from './log-sum.ts';

/**
 * `y[r] = log Σ_v exp(logits[r, v]) - (1 - s) logits[r, targets[r]] - s mean_v(logits[r, v])`, and 0 where the target
 * is below 0. The row's largest logit is subtracted from all logits first.
 */
export function crossEntropy({ logits, targets, labelSmoothing, rows, vocab }: CrossEntropyCall<Input>): Storage {
  const [values, at] = [floats(logits), integers(targets)];
  const losses = newFloats(rows);
  for (let r = 0; r < rows; r++) {
    if (at[r]! < 0) continue;
    const row = values.subarray(r * vocab, (r + 1) * vocab);
    const { max, log } = logSum(row);
    const sum = row.reduce((total, logit) => total + (logit - max), 0);
    // Without smoothing the mean has no weight, and an infinite logit must not make NaN of it.
    const spread = labelSmoothing === 0 ? 0 : labelSmoothing * (sum / vocab);
    losses[r] = log - (1 - labelSmoothing) * (row[at[r]!]! - max) - spread;
  }
  return losses;
}
