/**
 * y[row] = logits[row, ids[row]] - max - log Σ exp(logits[row] - max). The row is read twice, and one number is
 * written. One of the largest terms is left out of the sum and comes back by log1p, so that the probability of all
 * others is not lost beside it. Spans of 256 logits, as 16 float32 sums of 16, are added up in float64, so the error of
 * the sum stays below 1e-6 for any vocabulary and any logits; long float32 sums of equal parts would round the same way
 * at every addition.
 */
import { exp } from '../lib/exp';
import { loadPart, sum } from '../lib/lanes';
import { log, log1pUnit } from '../lib/log';
import { maximum } from './argmax';

const SPAN = 256;

export function logProb(logits: usize, ids: usize, y: usize, rows: i32, vocab: i32): void {
  for (let row = 0; row < rows; row++) {
    const max = maximum(logits, vocab);
    const total = logOfSum(sumOthers(logits, vocab, max));
    const below = <f64>load<f32>(logits + (<usize>load<u32>(ids) << 2)) - max;
    store<f32>(y, <f32>(below - total));
    logits += <usize>vocab << 2;
    ids += 4;
    y += 4;
  }
}

/** log(1 + others). */
export function logOfSum(others: f32): f32 {
  const value = f32x4.splat(others);
  return f32x4.extract_lane(others <= 1 ? log1pUnit(value) : log(f32x4.add(value, f32x4.splat(1))), 0);
}

/** Σ exp(values - max) less 1. Values equal to `max` are counted, and the others are summed. */
export function sumOthers(values: usize, count: i32, max: f32): f32 {
  const shift = f32x4.splat(max);
  let largest = i32x4.splat(0);
  let total: f64 = 0;
  let index = 0;
  while (index + 16 <= count) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (const end = min(index + SPAN, count); index + 16 <= end; index += 16) {
      const v0 = v128.load(values);
      const v1 = v128.load(values, 16);
      const v2 = v128.load(values, 32);
      const v3 = v128.load(values, 48);
      s0 = f32x4.add(s0, belowLargest(v0, shift));
      s1 = f32x4.add(s1, belowLargest(v1, shift));
      s2 = f32x4.add(s2, belowLargest(v2, shift));
      s3 = f32x4.add(s3, belowLargest(v3, shift));
      largest = i32x4.sub(largest, f32x4.eq(v0, shift));
      largest = i32x4.sub(largest, f32x4.eq(v1, shift));
      largest = i32x4.sub(largest, f32x4.eq(v2, shift));
      largest = i32x4.sub(largest, f32x4.eq(v3, shift));
      values += 64;
    }
    total += sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  let rest = f32x4.splat(0);
  for (; index < count; index += 4) {
    const present = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count - index));
    const v = v128.bitselect(loadPart(values, count - index), f32x4.splat(-Infinity), present);
    rest = f32x4.add(rest, belowLargest(v, shift));
    largest = i32x4.sub(largest, f32x4.eq(v, shift));
    values += 16;
  }
  const ties = <f64>(sum(f32x4.convert_i32x4_s(largest)) - 1);
  return <f32>(total + sum(rest) + ties);
}

/** exp(v - max), and 0 where v is the largest. @inline */
function belowLargest(v: v128, max: v128): v128 {
  return v128.andnot(exp(f32x4.sub(v, max)), f32x4.eq(v, max));
}
