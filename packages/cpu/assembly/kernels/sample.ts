/**
 * The softmax of a row, not divided by its sum: weights[v] = exp((logits[v] - max) / temperature), so the likeliest
 * token has 1, and a NaN logit has 0. Returns the maximum; where that is infinite there is no softmax, and weights are
 * not written. The row is read twice and written once. The caller chooses among the weights.
 */
import { exp } from '../lib/exp';
import { loadPart, storePart } from '../lib/lanes';
import { maximum } from './argmax';

export function softmax(logits: usize, weights: usize, vocab: i32, temperature: f32): f32 {
  const largest = maximum(logits, vocab);
  if (!isFinite(largest)) return largest;
  const max = f32x4.splat(largest);
  const scale = f32x4.splat(temperature);
  for (let index = 0; index < vocab; index += 4) {
    const rest = vocab - index;
    const e = exp(f32x4.div(f32x4.sub(loadPart(logits, rest), max), scale));
    storePart(weights, v128.and(e, f32x4.eq(e, e)), rest);
    logits += 16;
    weights += 16;
  }
  return largest;
}
