/**
 * y = (x - mean) / sqrt(mean((x - mean)²) + eps) · weight + bias for each row. A row is read three times, the second
 * and third time from the first-level cache. The mean is a float64 and kept in two float32, so that differences from it
 * are right where it is far larger than they are, and 0 where a whole row is equal. y may be x itself where its rows
 * are contiguous.
 */
import { loadPart, storePart, sum } from '../lib/lanes';
import { LEAST_MEAN } from './rms-norm';

/** Addresses and strides are in bytes. */
@unmanaged
export class LayerNormCall {
  x: usize;
  xStride: usize;
  /** 0 means that there is none. */
  weight: usize;
  /** 0 means that there is none. */
  bias: usize;
  y: usize;
  rows: i32;
  channels: i32;
  eps: f32;
  /** Rows of a task. */
  taskRows: i32;
}

export function layerNorm(call: LayerNormCall, task: i32): void {
  const end = min((task + 1) * call.taskRows, call.rows);
  for (let row = task * call.taskRows; row < end; row++) {
    const x = call.x + <usize>row * call.xStride;
    const y = call.y + ((<usize>row * <usize>call.channels) << 2);
    normalise(x, call.weight, call.bias, y, call.channels, call.eps);
  }
}

function normalise(x: usize, weight: usize, bias: usize, y: usize, channels: i32, eps: f32): void {
  const mean = total(x, channels) / <f64>channels;
  const high = <f32>mean;
  const low = <f32>(mean - <f64>high);
  const spread = sumOfSquares(x, channels, high, low) / <f32>channels + eps;
  // Where float32 squares overflow, or vanish beside an eps that is small as well, or are NaN, the row is computed in
  // float64.
  if (!(spread >= LEAST_MEAN && spread <= f32.MAX_VALUE)) {
    normaliseWide(x, weight, bias, y, channels, <f64>eps, mean);
    return;
  }
  const scale = f32x4.splat(1 / sqrt<f32>(spread));
  const highs = f32x4.splat(high);
  const lows = f32x4.splat(low);
  for (let c = 0; c < channels; c += 4) {
    const rest = channels - c;
    const offset = <usize>c << 2;
    let value = f32x4.mul(f32x4.sub(f32x4.sub(loadPart(x + offset, rest), highs), lows), scale);
    if (weight != 0) value = f32x4.mul(value, loadPart(weight + offset, rest));
    if (bias != 0) value = f32x4.add(value, loadPart(bias + offset, rest));
    storePart(y + offset, value, rest);
  }
}

function normaliseWide(
  x: usize, weight: usize, bias: usize, y: usize, channels: i32, eps: f64, mean: f64,
): void {
  const scale = 1 / sqrt<f64>(wideSumOfSquares(x, channels, mean) / <f64>channels + eps);
  for (let c = 0; c < channels; c++) {
    const offset = <usize>c << 2;
    let value = (<f64>load<f32>(x + offset) - mean) * scale;
    if (weight != 0) value *= <f64>load<f32>(weight + offset);
    if (bias != 0) value += <f64>load<f32>(bias + offset);
    store<f32>(y + offset, <f32>value);
  }
}

/** 1 / sqrt(mean((x - mean)²) + eps), where the mean is high + low. */
export function inverseDeviation(x: usize, channels: i32, high: f32, low: f32, eps: f32): f32 {
  const spread = sumOfSquares(x, channels, high, low) / <f32>channels + eps;
  if (spread >= LEAST_MEAN && spread <= f32.MAX_VALUE) return 1 / sqrt<f32>(spread);
  const mean = <f64>high + <f64>low;
  return <f32>(1 / sqrt<f64>(wideSumOfSquares(x, channels, mean) / <f64>channels + <f64>eps));
}

function wideSumOfSquares(x: usize, channels: i32, mean: f64): f64 {
  let squares: f64 = 0;
  for (let c = 0; c < channels; c++) {
    const value = <f64>load<f32>(x + (<usize>c << 2)) - mean;
    squares += value * value;
  }
  return squares;
}

/** Σ x in float64. */
export function total(x: usize, channels: i32): f64 {
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    s0 = f64x2.add(s0, f64x2.promote_low_f32x4(v128.load64_zero(x)));
    s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.load64_zero(x, 8)));
    x += 16;
  }
  s0 = f64x2.add(s0, s1);
  let sum = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (; c < channels; c++) {
    sum += <f64>load<f32>(x);
    x += 4;
  }
  return sum;
}

/** Σ (x - high - low)² */
function sumOfSquares(x: usize, channels: i32, high: f32, low: f32): f32 {
  const highs = f32x4.splat(high);
  const lows = f32x4.splat(low);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let c = 0;
  for (; c + 16 <= channels; c += 16) {
    s0 = f32x4.add(s0, squared(v128.load(x), highs, lows));
    s1 = f32x4.add(s1, squared(v128.load(x, 16), highs, lows));
    s2 = f32x4.add(s2, squared(v128.load(x, 32), highs, lows));
    s3 = f32x4.add(s3, squared(v128.load(x, 48), highs, lows));
    x += 64;
  }
  for (; c + 4 <= channels; c += 4) {
    s0 = f32x4.add(s0, squared(v128.load(x), highs, lows));
    x += 16;
  }
  let squares = sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (; c < channels; c++) {
    const value = load<f32>(x) - high - low;
    squares += value * value;
    x += 4;
  }
  return squares;
}

/** @inline */
function squared(x: v128, high: v128, low: v128): v128 {
  const value = f32x4.sub(f32x4.sub(x, high), low);
  return f32x4.mul(value, value);
}
