import type { SampleCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, newIntegers, type Storage } from '../storage.ts';
import { argmaxOfRow, decides } from './argmax.ts';

/**
 * Draws one token for each row from the softmax, filtered by topK, topP and minP in this order, by inverting the
 * cumulative distribution in index order. Where the largest logit is infinite or all are NaN, the softmax is undefined
 * and the draw is argmax. A NaN among other values has probability 0, as it counts as the smallest value in argmax.
 */
export function sample(call: SampleCall<Input>): Storage {
  const [logits, uniform] = [floats(call.logits), floats(call.uniform)];
  const { rows, vocab, temperature, checked = false } = call;
  const ids = newIntegers(rows);
  const p = newFloats(vocab);
  for (let r = 0; r < rows; r++) {
    if (checked && !decides(logits, r * vocab, vocab)) {
      ids[r] = -1;
      continue;
    }
    const likeliest = argmaxOfRow(logits, r * vocab, vocab);
    const largest = logits[r * vocab + likeliest]!;
    if (temperature === 0 || !Number.isFinite(largest)) {
      ids[r] = likeliest;
      continue;
    }
    // Probabilities without the factor 1 / Σ, which cancels below. The likeliest token has 1.
    for (let i = 0; i < vocab; i++) {
      const logit = logits[r * vocab + i]!;
      p[i] = Number.isNaN(logit) ? 0 : Math.exp((logit - largest) / temperature);
    }
    ids[r] = draw(p, filter(p, call), uniform[r]!);
  }
  return ids;
}

/** The indices that remain, in ascending order. Tokens of probability 0 never remain. */
function filter(p: Float64Array, { topK, topP, minP }: SampleCall<Input>): readonly number[] {
  // The sort is stable, so that the lowest index wins a tie.
  const byLikelihood = Array.from(p.keys()).sort((i, j) => p[j]! - p[i]!);
  const top = byLikelihood.slice(0, topK);
  const kept = top.slice(0, prefixReaching(topP, p, top)).filter((i) => p[i]! > 0 && p[i]! >= minP);
  return kept.sort((i, j) => i - j);
}

/**
 * The size of the shortest prefix of `top` whose share of the total reaches topP. A topP of 1 takes all, whatever the
 * rounding.
 */
function prefixReaching(topP: number, p: Float64Array, top: readonly number[]): number {
  const target = topP * sumOf(p, top);
  let reached = 0;
  for (let size = 1; size < top.length && topP < 1; size++) {
    reached += p[top[size - 1]!]!;
    if (reached >= target) return size;
  }
  return top.length;
}

/** The first index at which the running sum exceeds uniform times the total; the last index if rounding leaves none. */
function draw(p: Float64Array, kept: readonly number[], uniform: number): number {
  const target = uniform * sumOf(p, kept);
  let running = 0;
  for (const i of kept) {
    running += p[i]!;
    if (running > target) return i;
  }
  return kept.at(-1)!;
}

function sumOf(p: Float64Array, indices: readonly number[]): number {
  return indices.reduce((sum, i) => sum + p[i]!, 0);
}
