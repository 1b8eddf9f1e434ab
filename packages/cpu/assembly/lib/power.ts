/** Powers of two near 1 as their distance from 1, and steps of a state with them. */
import { Constant, constant } from './constants';
import { madd } from './madd';

/** (2^r - 1) / r for |r| ≤ 1/2. @inline */
export function powerRatio(r: v128, p1: v128, p2: v128, p3: v128, p4: v128, p5: v128): v128 {
  let p = madd(p5, r, p4);
  p = madd(p, r, p3);
  p = madd(p, r, p2);
  return madd(p, r, p1);
}

/** 2^r - 1. @inline */
export function power(r: v128, p1: v128, p2: v128, p3: v128, p4: v128, p5: v128): v128 {
  return f32x4.mul(powerRatio(r, p1, p2, p3, p4, p5), r);
}

/** s h + (s h (2^r - 1) + input). @inline */
export function advance(scaled: v128, power: v128, input: v128): v128 {
  return f32x4.add(scaled, madd(scaled, power, input));
}

/** The rounding error of h + change = sum, exactly (Knuth's two-sum). @inline */
export function lost(h: v128, change: v128, sum: v128): v128 {
  const part = f32x4.sub(sum, h);
  return f32x4.add(f32x4.sub(h, f32x4.sub(sum, part)), f32x4.sub(change, part));
}

/** x within what `powerOfTwo` can form; infinities stay on their side, and NaN stays. @inline */
export function boundedPower(x: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, constant(Constant.GROWTH_MIN)), constant(Constant.GROWTH_MAX));
}

/** `powerRatio` with its constants loaded here, for loops that are not hot. @inline */
export function ratioOf(r: v128): v128 {
  return powerRatio(
    r, constant(Constant.P1), constant(Constant.P2), constant(Constant.P3), constant(Constant.P4),
    constant(Constant.P5),
  );
}

/** 2^n (1 + power). n is applied in two halves, so that the result overflows and vanishes as IEEE 754 says. @inline */
export function powerOfTwo(power: v128, n: v128): v128 {
  const one = constant(Constant.ONE);
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(
    f32x4.mul(f32x4.add(one, power), i32x4.add(i32x4.shl(half, 23), one)),
    i32x4.add(i32x4.shl(i32x4.sub(n, half), 23), one),
  );
}
