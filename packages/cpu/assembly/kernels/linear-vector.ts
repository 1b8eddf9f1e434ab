/**
 * One row of x times one panel: 16 sums, for which each weight is read once in the order of memory. Sums are returned
 * through memory (`to`, 64 bytes), for the reason given in linear-tile.ts.
 *
 * Quantised weights are multiplied by activations that are quantised to 16-bit integers, in groups of 32 with a float32
 * scale. Products of 8 and 16 bits are summed exactly in 32 bits, two for each lane and instruction, and scaled once
 * for each group. The rounding error of an activation, 1.5e-5 of its group's largest, is far below that of a weight.
 */
import { Mask, mask } from '../lib/constants';
import { lowerBfloat16, lowerFloat16, upperBfloat16, upperFloat16 } from '../lib/half';
import { loadPart, storePart } from '../lib/lanes';
import { madd } from '../lib/madd';
import { GROUP, Q4_BYTES, Q8_BYTES, scalesAt } from './weights';

/** Bytes of a group of quantised activations: 32 int16, a float32 scale, -8 times their sum, 8 bytes unused. */
export const ACTIVATION_BYTES: usize = 80; // host

export function vectorFloat32(x: usize, panel: usize, inputs: i32, to: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = panel + (<usize>inputs << 6); panel < end; panel += 64) {
    const v = v128.load32_splat(x);
    a = madd(v, v128.load(panel), a);
    b = madd(v, v128.load(panel, 16), b);
    c = madd(v, v128.load(panel, 32), c);
    d = madd(v, v128.load(panel, 48), d);
    x += 4;
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

/**
 * Takes x as `scaleForFloat16` made it, whose factor the sums still need. Weights are used as they are times 2^-112,
 * which saves an instruction.
 */
export function vectorFloat16(x: usize, panel: usize, inputs: i32, to: usize): void {
  const bits = mask(Mask.FLOAT16);
  const up = mask(Mask.UP);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = panel + (<usize>inputs << 5); panel < end; panel += 32) {
    const v = v128.load32_splat(x);
    const first = v128.load(panel);
    const second = v128.load(panel, 16);
    a = madd(v, lowerFloat16(first, bits, up), a);
    b = madd(v, lowerFloat16(second, bits, up), b);
    c = madd(v, upperFloat16(first, bits), c);
    d = madd(v, upperFloat16(second, bits), d);
    x += 4;
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

/**
 * Writes x times the power of two that brings its largest value to 2^110 … 2^111, and returns the factor that undoes
 * this and the weights' 2^-112. Sums of 2^32 inputs of the largest float16 do not overflow, and no product underflows
 * that would count beside the largest one.
 */
export function scaleForFloat16(x: usize, inputs: i32, to: usize): f32 {
  const bits = reinterpret<u32>(largestOf(x, inputs));
  // A row that holds infinity or NaN, or only zeros, has no such power.
  const exponent = bits >= 0x7f800000 ? 127 : max<i32>(bits >> 23, 1);
  const up = max(min(110 + 127 - exponent, 127), -15);
  const scale = f32x4.splat(reinterpret<f32>((up + 127) << 23));
  for (let k = 0; k < inputs; k += 4) {
    const rest = inputs - k;
    const offset = <usize>k << 2;
    storePart(to + offset, f32x4.mul(loadPart(x + offset, rest), scale), rest);
  }
  return reinterpret<f32>((112 - up + 127) << 23);
}

export function vectorBfloat16(x: usize, panel: usize, inputs: i32, to: usize): void {
  const bits = mask(Mask.BFLOAT16);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = panel + (<usize>inputs << 5); panel < end; panel += 32) {
    const v = v128.load32_splat(x);
    const first = v128.load(panel);
    const second = v128.load(panel, 16);
    a = madd(v, lowerBfloat16(first), a);
    b = madd(v, lowerBfloat16(second), b);
    c = madd(v, upperBfloat16(first, bits), c);
    d = madd(v, upperBfloat16(second, bits), d);
    x += 4;
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

export function vectorQ8(x: usize, panel: usize, inputs: i32, to: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let start = 0; start < inputs; start += GROUP) {
    let i = i32x4.splat(0);
    let j = i;
    let k = i;
    let l = i;
    let pairs = panel + 32;
    for (const end = x + 64; x < end; x += 4) {
      const v = v128.load32_splat(x);
      i = i32x4.add(i, i32x4.dot_i16x8_s(v128.load8x8_s(pairs), v));
      j = i32x4.add(j, i32x4.dot_i16x8_s(v128.load8x8_s(pairs, 8), v));
      k = i32x4.add(k, i32x4.dot_i16x8_s(v128.load8x8_s(pairs, 16), v));
      l = i32x4.add(l, i32x4.dot_i16x8_s(v128.load8x8_s(pairs, 24), v));
      pairs += 32;
    }
    const scale = v128.load32_splat(x);
    a = madd(f32x4.convert_i32x4_s(i), f32x4.mul(scale, scalesAt(panel, 0)), a);
    b = madd(f32x4.convert_i32x4_s(j), f32x4.mul(scale, scalesAt(panel, 1)), b);
    c = madd(f32x4.convert_i32x4_s(k), f32x4.mul(scale, scalesAt(panel, 2)), c);
    d = madd(f32x4.convert_i32x4_s(l), f32x4.mul(scale, scalesAt(panel, 3)), d);
    x += ACTIVATION_BYTES - 64;
    panel += Q8_BYTES;
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

export function vectorQ4(x: usize, panel: usize, inputs: i32, to: usize): void {
  const nibble = mask(Mask.NIBBLE);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let start = 0; start < inputs; start += GROUP) {
    let i = v128.load32_splat(x, 68);
    let j = i;
    let k = i;
    let l = i;
    let nibbles = panel + 32;
    for (const end = x + 64; x < end; x += 8) {
      const first = v128.load32_splat(x);
      const second = v128.load32_splat(x, 4);
      let lanes = v128.load(nibbles);
      i = i32x4.add(i, i32x4.dot_i16x8_s(v128.and(lanes, nibble), first));
      i = i32x4.add(i, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(lanes, 4), nibble), second));
      j = i32x4.add(j, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(lanes, 8), nibble), first));
      j = i32x4.add(j, i32x4.dot_i16x8_s(i16x8.shr_u(lanes, 12), second));
      lanes = v128.load(nibbles, 16);
      k = i32x4.add(k, i32x4.dot_i16x8_s(v128.and(lanes, nibble), first));
      k = i32x4.add(k, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(lanes, 4), nibble), second));
      l = i32x4.add(l, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(lanes, 8), nibble), first));
      l = i32x4.add(l, i32x4.dot_i16x8_s(i16x8.shr_u(lanes, 12), second));
      nibbles += 32;
    }
    const scale = v128.load32_splat(x);
    a = madd(f32x4.convert_i32x4_s(i), f32x4.mul(scale, scalesAt(panel, 0)), a);
    b = madd(f32x4.convert_i32x4_s(j), f32x4.mul(scale, scalesAt(panel, 1)), b);
    c = madd(f32x4.convert_i32x4_s(k), f32x4.mul(scale, scalesAt(panel, 2)), c);
    d = madd(f32x4.convert_i32x4_s(l), f32x4.mul(scale, scalesAt(panel, 3)), d);
    x += ACTIVATION_BYTES - 64;
    panel += Q4_BYTES;
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

/** Quantises a row of float32 to groups of activations. A group that is not finite gets the scale NaN. */
export function quantise(x: usize, inputs: i32, to: usize): void {
  for (let start = 0; start < inputs; start += GROUP) {
    const count = min(GROUP, inputs - start);
    const largest = largestOf(x, count);
    // The inverse of a scale below 2^-100 could overflow; such a group is 0 beside any other.
    const inverse = f32x4.splat(largest < 7.9e-31 ? 0 : 32767 / largest);
    let sum = i32x4.splat(0);
    for (let k = 0; k < GROUP; k += 4) {
      const value = k < count ? loadPart(x + (<usize>k << 2), count - k) : f32x4.splat(0);
      const whole = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(value, inverse)));
      sum = i32x4.add(sum, whole);
      v128.store64_lane(to + (<usize>k << 1), i16x8.narrow_i32x4_s(whole, whole), 0);
    }
    const pairs = i32x4.add(sum, v128.shuffle<i32>(sum, sum, 2, 3, 0, 1));
    store<f32>(to + 64, isFinite(largest) ? largest / 32767 : NaN);
    store<i32>(to + 68, -8 * (i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1)));
    x += GROUP << 2;
    to += ACTIVATION_BYTES;
  }
}

/** The largest magnitude; NaN where a value is NaN. */
function largestOf(x: usize, count: i32): f32 {
  let most = f32x4.splat(0);
  for (let k = 0; k < count; k += 4) most = f32x4.max(most, f32x4.abs(loadPart(x + (<usize>k << 2), count - k)));
  most = f32x4.max(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.max(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2)), 0);
}
