/**
 * exp by Cody-Waite reduction to |r| ≤ ln 2 / 2 and a polynomial of degree 6. 2^n is applied in two halves, so that
 * results are subnormal below 2^-126, 0 below exp(-104), and infinite above exp(88.73). NaN stays NaN. The relative
 * error is below 1.3e-7 where the result is normal.
 */
import { Constant, constant } from './constants';
import { madd } from './madd';

/** @inline */
export function exp(x: v128): v128 {
  return expTimes(x, constant(Constant.ONE));
}

/**
 * exp(x) times a power of two from 2^-5 to 1, so that it may be finite where exp(x) is infinite; it is infinite for x
 * from 96 on.
 * @inline
 */
export function expTimes(x: v128, power: v128): v128 {
  // With x as their first operand, pmax and pmin keep a NaN.
  const bounded = f32x4.pmin(f32x4.pmax(x, constant(Constant.EXP_MIN)), constant(Constant.EXP_MAX));
  const round = constant(Constant.ROUND);
  const shifted = madd(bounded, constant(Constant.LOG2_E), round);
  const whole = f32x4.sub(shifted, round);
  return scaled(reduced(bounded, whole), shifted, power);
}

/**
 * exp(x + rest) times a power of two as above, for a sum that one float32 would round. |rest| is at most 1/16, and x is
 * within EXP_MIN and EXP_MAX.
 * @inline
 */
export function expSumTimes(x: v128, rest: v128, power: v128): v128 {
  const round = constant(Constant.ROUND);
  const shifted = madd(x, constant(Constant.LOG2_E), round);
  return scaled(f32x4.add(reduced(x, f32x4.sub(shifted, round)), rest), shifted, power);
}

/** x - whole ln 2 @inline */
function reduced(x: v128, whole: v128): v128 {
  return f32x4.sub(
    f32x4.sub(x, f32x4.mul(whole, constant(Constant.LN2_HIGH))),
    f32x4.mul(whole, constant(Constant.LN2_LOW)),
  );
}

/** exp(r) times 2^n and `power`; n is in the low bits of `shifted`. @inline */
function scaled(r: v128, shifted: v128, power: v128): v128 {
  const one = constant(Constant.ONE);
  let p = madd(constant(Constant.E6), r, constant(Constant.E5));
  p = madd(p, r, constant(Constant.E4));
  p = madd(p, r, constant(Constant.E3));
  p = madd(p, r, constant(Constant.E2));
  p = madd(f32x4.mul(r, r), p, r);
  p = f32x4.add(p, one);
  const n = i32x4.sub(shifted, constant(Constant.ROUND));
  const half = i32x4.shr_s(n, 1);
  const rest = i32x4.sub(n, half);
  return f32x4.mul(
    f32x4.mul(p, i32x4.add(i32x4.shl(half, 23), one)),
    i32x4.add(i32x4.shl(rest, 23), power),
  );
}
