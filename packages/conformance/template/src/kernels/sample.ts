import type { SampleCall } from '@mamba/core/driver';
import { floatsOf, type Memory, type Storage, type Tensor } from '../memory.ts';
import { indexOfLargest } from './argmax.ts';

/** A token for each row, drawn by its number of `uniform`. */
export function sample(memory: Memory, call: SampleCall<Tensor>): Storage {
  const { rows, vocab, temperature, checked = false } = call;
  const uniform = floatsOf(call.uniform);
  const [ids] = memory.integers(rows);
  for (let r = 0; r < rows; r++) {
    const row = floatsOf(call.logits).subarray(r * vocab, (r + 1) * vocab);
    const likeliest = indexOfLargest(row);
    if (checked && !row.every(Number.isFinite)) ids[r] = -1;
    else if (temperature === 0 || !Number.isFinite(row[likeliest])) ids[r] = likeliest;
    else ids[r] = draw(weightsOf(row, row[likeliest], call), uniform[r]);
  }
  return ids;
}

/** Probabilities relative to that of the likeliest token, which has 1; tokens that topK, topP or minP drop have 0. */
function weightsOf(
  row: Float32Array,
  largest: number,
  { temperature, topK, topP, minP }: SampleCall<Tensor>,
): number[] {
  const weights = Array.from(row, (logit) => (Number.isNaN(logit) ? 0 : Math.exp((logit - largest) / temperature)));
  // Sorting keeps the order of equal weights, so that the lowest index wins a tie.
  const order = [...weights.keys()].sort((i, j) => weights[j] - weights[i]).slice(0, topK);
  const total = order.reduce((sum, i) => sum + weights[i], 0);
  const kept = new Set<number>();
  let reached = 0;
  for (const i of order) {
    if (weights[i] < minP || (topP < 1 && kept.size > 0 && reached >= topP * total)) break;
    kept.add(i);
    reached += weights[i];
  }
  return weights.map((weight, i) => (kept.has(i) ? weight : 0));
}

/** The first index at which the running sum exceeds this share of the whole; the last one if rounding leaves none. */
function draw(weights: readonly number[], share: number): number {
  const target = share * weights.reduce((sum, weight) => sum + weight, 0);
  let running = 0;
  for (const [i, weight] of weights.entries()) {
    running += weight;
    if (running > target) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}
