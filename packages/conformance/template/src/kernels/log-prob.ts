import type { LogProbCall } from '@mamba/core/driver';
import { floatsOf, integersOf, type Memory, type Storage, type Tensor } from '../memory.ts';
import { indexOfLargest } from './argmax.ts';

/**
 * `logit - log Σ exp(logits)` of one token of each row. The largest logit is subtracted first, so that exp stays
 * finite. Its own 1 is added by log1p, so that a token which is nearly certain keeps its distance from 0.
 */
export function logProb(memory: Memory, { logits, ids, rows, vocab }: LogProbCall<Tensor>): Storage {
  const [y] = memory.floats(rows);
  for (const [r, id] of integersOf(ids).entries()) {
    const row = floatsOf(logits).subarray(r * vocab, (r + 1) * vocab);
    const largest = indexOfLargest(row);
    let others = 0;
    for (const [v, logit] of row.entries()) if (v !== largest) others += Math.exp(logit - row[largest]);
    y[r] = row[id] - row[largest] - Math.log1p(others);
  }
  return y;
}
