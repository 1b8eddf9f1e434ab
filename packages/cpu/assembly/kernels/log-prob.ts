/**
 * y[row] = logits[row, ids[row]] - max - log Σ exp(logits[row] - max). Two reads of the row, nothing written but one number. The sum
 * runs in 16 partial sums, so its error stays near 1e-7 for any vocabulary.
 */
import { exp } from '../lib/exp';
import { loadPart, sum } from '../lib/lanes';
import { log } from '../lib/log';
import { maximum } from './argmax';

export function logProb(logits: usize, ids: usize, y: usize, rows: i32, vocab: i32): void {
  for (let row = 0; row < rows; row++) {
    const max = maximum(logits, vocab);
    const total = f32x4.extract_lane(log(f32x4.splat(sumExp(logits, vocab, max))), 0);
    store<f32>(y, load<f32>(logits + (<usize>load<u32>(ids) << 2)) - max - total);
    logits += <usize>vocab << 2;
    ids += 4;
    y += 4;
  }
}

function sumExp(values: usize, count: i32, max: f32): f32 {
  const shift = f32x4.splat(max);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let index = 0;
  for (; index + 16 <= count; index += 16) {
    s0 = f32x4.add(s0, exp(f32x4.sub(v128.load(values), shift)));
    s1 = f32x4.add(s1, exp(f32x4.sub(v128.load(values, 16), shift)));
    s2 = f32x4.add(s2, exp(f32x4.sub(v128.load(values, 32), shift)));
    s3 = f32x4.add(s3, exp(f32x4.sub(v128.load(values, 48), shift)));
    values += 64;
  }
  for (; index + 4 <= count; index += 4) {
    s0 = f32x4.add(s0, exp(f32x4.sub(v128.load(values), shift)));
    values += 16;
  }
  let total = sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  const rest = count - index;
  if (rest > 0) {
    const e = exp(f32x4.sub(loadPart(values, rest), shift));
    total += f32x4.extract_lane(e, 0);
    if (rest > 1) total += f32x4.extract_lane(e, 1);
    if (rest > 2) total += f32x4.extract_lane(e, 2);
  }
  return total;
}
