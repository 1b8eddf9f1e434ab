/**
 * The backward of both norms. With r = 1 / sqrt(mean(x²) + eps), n = x r and dn = dy weight, that of rmsNorm is
 *
 *     dx = r (dn - n mean(dn n))                    dweight = Σ dy n
 *
 * and that of layerNorm, where x less its mean stands for x,
 *
 *     dx = r (dn - mean(dn) - n mean(dn n))         dweight = Σ dy n          dbias = Σ dy
 *
 * A task is a range of rows, which depends on the shape alone; its sums for dweight and dbias are partial ones, which a
 * later command adds up. A row is read from memory once and then from the first-level cache.
 */
import { loadPart, storePart, sum } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';
import { inverseDeviation, total } from './layer-norm';
import { inverseRoot } from './rms-norm';

/**
 * The terms of layerNorm's dx cancel in part where there are few channels, and but for eps where there are two. So rows
 * of fewer channels than this are taken in float64.
 */
const FEW = 8;

/** Addresses are in bytes, and 0 means that a tensor is absent. */
@unmanaged
export class NormBackwardCall {
  x: usize;
  weight: usize;
  dy: usize;
  dx: usize;
  /** Partial sums `[tasks, channels]`. */
  dWeight: usize;
  /** Partial sums `[tasks, channels]`. */
  dBias: usize;
  rows: i32;
  channels: i32;
  eps: f32;
  /** Whether the mean is taken off first, as layerNorm does. */
  centred: Flag;
  /** Rows of a task. */
  taskRows: i32;
}

export function normBackward(call: NormBackwardCall, task: i32): void {
  const channels = call.channels;
  const bytes = <usize>channels << 2;
  const first = task * call.taskRows;
  const end = min(first + call.taskRows, call.rows);
  const dWeight = call.dWeight == 0 ? <usize>0 : call.dWeight + <usize>task * bytes;
  const dBias = call.dBias == 0 ? <usize>0 : call.dBias + <usize>task * bytes;
  if (dWeight != 0) memory.fill(dWeight, 0, bytes);
  if (dBias != 0) memory.fill(dBias, 0, bytes);
  for (let row = first; row < end; row++) {
    const offset = <usize>row * bytes;
    const x = call.x + offset;
    if (call.centred && channels < FEW) fewChannels(call, x, call.dy + offset, call.dx + offset, dWeight, dBias);
    else rowBackward(call, x, call.dy + offset, call.dx + offset, dWeight, dBias);
  }
}

function rowBackward(
  call: NormBackwardCall, x: usize, dy: usize, dx: usize, dWeight: usize, dBias: usize,
): void {
  const channels = call.channels;
  const weight = call.weight;
  let high: f32 = 0;
  let low: f32 = 0;
  let inverse: f32 = 0;
  if (call.centred) {
    const mean = total(x, channels) / <f64>channels;
    high = <f32>mean;
    low = <f32>(mean - <f64>high);
    inverse = inverseDeviation(x, channels, high, low, call.eps);
  } else inverse = inverseRoot(x, channels, call.eps);
  const scale = f32x4.splat(inverse);
  const highs = f32x4.splat(high);
  const lows = f32x4.splat(low);

  let along0 = f32x4.splat(0);
  let along1 = along0;
  let sum0 = along0;
  let sum1 = along0;
  let c = 0;
  for (; c + 8 <= channels; c += 8) {
    const offset = <usize>c << 2;
    const n0 = normed(v128.load(x + offset), highs, lows, scale);
    const n1 = normed(v128.load(x + offset, 16), highs, lows, scale);
    let dn0 = v128.load(dy + offset);
    let dn1 = v128.load(dy + offset, 16);
    if (weight != 0) {
      dn0 = f32x4.mul(dn0, v128.load(weight + offset));
      dn1 = f32x4.mul(dn1, v128.load(weight + offset, 16));
    }
    along0 = madd(dn0, n0, along0);
    along1 = madd(dn1, n1, along1);
    sum0 = f32x4.add(sum0, dn0);
    sum1 = f32x4.add(sum1, dn1);
  }
  for (; c < channels; c += 4) {
    const rest = channels - c;
    const offset = <usize>c << 2;
    const n = normed(loadPart(x + offset, rest), highs, lows, scale);
    let dn = loadPart(dy + offset, rest);
    if (weight != 0) dn = f32x4.mul(dn, loadPart(weight + offset, rest));
    along0 = madd(dn, n, along0);
    sum0 = f32x4.add(sum0, dn);
  }
  const along = f32x4.splat(sum(f32x4.add(along0, along1)) / <f32>channels);
  const mean = f32x4.splat(call.centred ? sum(f32x4.add(sum0, sum1)) / <f32>channels : 0);

  for (c = 0; c < channels; c += 4) {
    const rest = channels - c;
    const offset = <usize>c << 2;
    const n = normed(loadPart(x + offset, rest), highs, lows, scale);
    const cotangent = loadPart(dy + offset, rest);
    const dn = weight != 0 ? f32x4.mul(cotangent, loadPart(weight + offset, rest)) : cotangent;
    const value = f32x4.sub(f32x4.sub(dn, mean), f32x4.mul(n, along));
    storePart(dx + offset, f32x4.mul(value, scale), rest);
    if (dWeight != 0) storePart(dWeight + offset, madd(cotangent, n, loadPart(dWeight + offset, rest)), rest);
    if (dBias != 0) storePart(dBias + offset, f32x4.add(cotangent, loadPart(dBias + offset, rest)), rest);
  }
}

/** A row of layerNorm in float64. */
function fewChannels(
  call: NormBackwardCall, x: usize, dy: usize, dx: usize, dWeight: usize, dBias: usize,
): void {
  const bytes = <usize>call.channels << 2;
  const count = <f64>call.channels;
  const mean = total(x, call.channels) / count;
  let squares: f64 = 0;
  for (let at: usize = 0; at < bytes; at += 4) {
    const value = <f64>load<f32>(x + at) - mean;
    squares += value * value;
  }
  const scale = 1 / sqrt<f64>(squares / count + <f64>call.eps);
  let along: f64 = 0;
  let sum: f64 = 0;
  for (let at: usize = 0; at < bytes; at += 4) {
    const dn = <f64>load<f32>(dy + at) * weightAt(call, at);
    sum += dn;
    along += dn * (<f64>load<f32>(x + at) - mean) * scale;
  }
  for (let at: usize = 0; at < bytes; at += 4) {
    const n = (<f64>load<f32>(x + at) - mean) * scale;
    const cotangent = load<f32>(dy + at);
    const dn = <f64>cotangent * weightAt(call, at);
    store<f32>(dx + at, <f32>((dn - sum / count - n * (along / count)) * scale));
    if (dWeight != 0) store<f32>(dWeight + at, load<f32>(dWeight + at) + <f32>(<f64>cotangent * n));
    if (dBias != 0) store<f32>(dBias + at, load<f32>(dBias + at) + cotangent);
  }
}

/** @inline */
function weightAt(call: NormBackwardCall, at: usize): f64 {
  return call.weight == 0 ? 1 : <f64>load<f32>(call.weight + at);
}

/** @inline */
function normed(x: v128, high: v128, low: v128, scale: v128): v128 {
  return f32x4.mul(f32x4.sub(f32x4.sub(x, high), low), scale);
}
