/** Activations: softplus, silu, and the others of `multiply`. */
import { Constant, constant, Mask, mask, WideConstant, wideConstant } from './constants';
import { exp, expSumTimes, expTimes } from './exp';
import { log1pUnit } from './log';
import { madd } from './madd';

/**
 * log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)). Nothing overflows, very negative x keep their relative precision,
 * and from x = 20 on the second term is below half a unit in the last place of x, so the result is x itself. The
 * relative error is below 4e-7.
 * @inline
 */
export function softplus(x: v128): v128 {
  // With its sign bit set, x is -|x|.
  const small = log1pUnit(exp(v128.or(x, f32x4.splat(-0.0))));
  return f32x4.add(f32x4.pmax(x, f32x4.splat(0)), small);
}

/** 1 / (1 + exp(-x)), with a relative error below 3e-7 where it is normal. @inline */
export function sigmoid(x: v128): v128 {
  return sigmoidOf(x, negativePower(x));
}

/** exp(-|x|) @inline */
export function negativePower(x: v128): v128 {
  // With its sign bit set, x is -|x|.
  return exp(v128.or(x, f32x4.splat(-0.0)));
}

/** sigmoid(x), given `power`, exp(-|x|). @inline */
export function sigmoidOf(x: v128, power: v128): v128 {
  const one = constant(Constant.ONE);
  return f32x4.div(v128.bitselect(power, one, f32x4.lt(x, f32x4.splat(0))), f32x4.add(one, power));
}

/** The derivative of sigmoid, given `power`, exp(-|x|), which leaves nothing to cancel. @inline */
export function sigmoidSlope(power: v128): v128 {
  const sum = f32x4.add(constant(Constant.ONE), power);
  return f32x4.div(power, f32x4.mul(sum, sum));
}

/** tanh(x), with a relative error below 3e-7. @inline */
export function tanh(x: v128): v128 {
  return tanhOf(x, negativePower(f32x4.add(x, x)));
}

/**
 * tanh(x), given `power`, exp(-2 |x|): (1 - power) / (1 + power) with the sign of x, and a polynomial within ±1/2,
 * where that cancels.
 * @inline
 */
export function tanhOf(x: v128, power: v128): v128 {
  const one = constant(Constant.ONE);
  const square = f32x4.mul(x, x);
  let p = madd(constant(Constant.H4), square, constant(Constant.H3));
  p = madd(p, square, constant(Constant.H2));
  p = madd(p, square, constant(Constant.H1));
  const near = madd(f32x4.mul(p, square), x, x);
  const far = f32x4.div(f32x4.sub(one, power), f32x4.add(one, power));
  const magnitude = mask(Mask.MAGNITUDE);
  // The comparison is false for NaN, and far is NaN there.
  const isNear = f32x4.lt(v128.and(x, magnitude), constant(Constant.HALF));
  return v128.bitselect(near, v128.bitselect(far, x, magnitude), isNear);
}

/**
 * x / (1 + exp(-x)). The relative error is below 4e-7 where the result is normal, and below 3e-6 for x within ±2^-121.
 * The result is normal down to x = -91.9 while exp(-x) overflows below -88.8, so dividend and divisor are multiplied by
 * 2^-5.
 * @inline
 */
export function silu(x: v128): v128 {
  const scale = constant(Constant.GATE_SCALE);
  return f32x4.div(f32x4.mul(x, scale), f32x4.add(scale, expTimes(f32x4.neg(x), scale)));
}

/**
 * x (1 + erf(x / √2)) / 2, which is x times the probability of a normal number below x. With t = |x|, that probability
 * is the tail exp(-t² / 2) R(t) for x below 0, and 1 less the tail otherwise. t² is taken in two parts, the first of
 * them exact, so that the error does not grow with it: relative error below 6e-7 where the result is normal (down to x
 * = -13.1).
 * @inline
 */
export function gelu(x: v128): v128 {
  const one = constant(Constant.ONE);
  const t = tailArgument(x);
  const ratio = tailRatio(t);
  const power = tailPower(t);
  // x is multiplied first, since the tail ceases to be normal before the result does.
  const below = f32x4.mul(f32x4.mul(x, ratio), power);
  const above = f32x4.mul(x, f32x4.sub(one, f32x4.mul(ratio, power)));
  return v128.bitselect(below, above, f32x4.lt(x, f32x4.splat(0)));
}

/** The probability of a normal number below x, with an error below 1e-6 of 1; gelu is x times it. @inline */
export function normalBelow(x: v128): v128 {
  const t = tailArgument(x);
  const tail = f32x4.mul(tailRatio(t), tailPower(t));
  return v128.bitselect(tail, f32x4.sub(constant(Constant.ONE), tail), f32x4.lt(x, f32x4.splat(0)));
}

/** The derivative of gelu: `below`, the probability of a normal number below x, plus x times its density. @inline */
export function geluSlope(x: v128, below: v128): v128 {
  const t = tailArgument(x);
  const density = f32x4.mul(f32x4.mul(t, tailPower(t)), constant(Constant.NORMAL_PEAK));
  return f32x4.add(below, v128.bitselect(f32x4.neg(density), density, f32x4.lt(x, f32x4.splat(0))));
}

/** |x|, not above where the tail is 0. @inline */
function tailArgument(x: v128): v128 {
  // pmin with |x| first keeps a NaN.
  return f32x4.pmin(v128.and(x, mask(Mask.MAGNITUDE)), constant(Constant.TAIL_MAX));
}

/** R(t): the tail over exp(-t² / 2). @inline */
function tailRatio(t: v128): v128 {
  const one = constant(Constant.ONE);
  const u = f32x4.div(one, f32x4.add(t, constant(Constant.THREE)));
  const q = f32x4.sub(f32x4.mul(u, constant(Constant.SIX)), one);
  let p = madd(constant(Constant.T8), q, constant(Constant.T7));
  p = madd(p, q, constant(Constant.T6));
  p = madd(p, q, constant(Constant.T5));
  p = madd(p, q, constant(Constant.T4));
  p = madd(p, q, constant(Constant.T3));
  p = madd(p, q, constant(Constant.T2));
  p = madd(p, q, constant(Constant.T1));
  return f32x4.mul(madd(p, q, constant(Constant.T0)), u);
}

/** exp(-t² / 2) @inline */
function tailPower(t: v128): v128 {
  const short = v128.and(t, mask(Mask.SQUARE));
  const half = f32x4.neg(constant(Constant.HALF));
  return expSumTimes(
    f32x4.mul(half, f32x4.mul(short, short)),
    f32x4.mul(f32x4.mul(half, f32x4.add(t, short)), f32x4.sub(t, short)),
    constant(Constant.ONE),
  );
}

/**
 * x (1 + tanh(w)) / 2 with w = √(2/π) (x + 0.044715 x³), as x / (1 + exp(-2 w)). The exponent is formed in float64, so
 * that the error does not grow with it: relative error below 3e-7 where the result is normal (down to x = -10).
 * @inline
 */
export function geluTanh(x: v128): v128 {
  const most = constant(Constant.CUBIC_MAX);
  const bounded = f32x4.pmax(f32x4.pmin(x, most), f32x4.neg(most));
  const low = cubic(f64x2.promote_low_f32x4(bounded));
  const high = cubic(f64x2.promote_low_f32x4(v128.shuffle<f32>(bounded, bounded, 2, 3, 2, 3)));
  const lowRound = f32x4.demote_f64x2_zero(low);
  const highRound = f32x4.demote_f64x2_zero(high);
  const lowRest = f32x4.demote_f64x2_zero(f64x2.sub(low, f64x2.promote_low_f32x4(lowRound)));
  const highRest = f32x4.demote_f64x2_zero(f64x2.sub(high, f64x2.promote_low_f32x4(highRound)));
  const scale = constant(Constant.GATE_SCALE);
  const power = expSumTimes(
    f32x4.pmin(v128.shuffle<f32>(lowRound, highRound, 0, 1, 4, 5), constant(Constant.EXP_MAX)),
    v128.shuffle<f32>(lowRest, highRest, 0, 1, 4, 5),
    scale,
  );
  return f32x4.div(f32x4.mul(x, scale), f32x4.add(scale, power));
}

/** -2 √(2/π) (x + 0.044715 x³) of float64. @inline */
function cubic(x: v128): v128 {
  const factor = f64x2.add(
    f64x2.mul(f64x2.mul(x, x), wideConstant(WideConstant.CUBIC_3)),
    wideConstant(WideConstant.CUBIC_1),
  );
  return f64x2.mul(f64x2.neg(x), factor);
}

/** The sigmoid of 2 w, with an error below 1e-6 of 1; geluTanh is x times it. @inline */
export function geluTanhShare(x: v128): v128 {
  const bounded = boundedCubic(x);
  const square = f32x4.mul(bounded, bounded);
  return sigmoid(f32x4.mul(bounded, madd(constant(Constant.CUBIC_3), square, constant(Constant.CUBIC_1))));
}

/** The derivative of geluTanh: with s the sigmoid of 2 w, s + x s (1 - s) 2 w'. @inline */
export function geluTanhSlope(x: v128, s: v128): v128 {
  const bounded = boundedCubic(x);
  const third = f32x4.mul(constant(Constant.THREE), constant(Constant.CUBIC_3));
  const slope = madd(third, f32x4.mul(bounded, bounded), constant(Constant.CUBIC_1));
  const bend = f32x4.mul(f32x4.mul(bounded, f32x4.sub(constant(Constant.ONE), s)), slope);
  return madd(s, bend, s);
}

/** x within what is neither 0 nor x itself to geluTanh; NaN stays. @inline */
function boundedCubic(x: v128): v128 {
  const most = constant(Constant.CUBIC_MAX);
  return f32x4.pmax(f32x4.pmin(x, most), f32x4.neg(most));
}

/** The derivative of silu: s (1 + x (1 - s)) with s the sigmoid of x. @inline */
export function siluSlope(x: v128, s: v128): v128 {
  const one = constant(Constant.ONE);
  return f32x4.mul(s, madd(x, f32x4.sub(one, s), one));
}

/** x + 1 above 0, and exp(x) below @inline */
export function eluPlusOne(x: v128): v128 {
  // The comparison is false for NaN, which exp keeps.
  return v128.bitselect(f32x4.add(x, constant(Constant.ONE)), exp(x), f32x4.gt(x, f32x4.splat(0)));
}

/** max(x, 0)² @inline */
export function relu2(x: v128): v128 {
  // pmax with x first keeps a NaN.
  const positive = f32x4.pmax(x, f32x4.splat(0));
  return f32x4.mul(positive, positive);
}
