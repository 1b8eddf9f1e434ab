/** softplus and silu. */
import { Constant, constant } from './constants';
import { exp, expTimes } from './exp';
import { log1pUnit } from './log';

/**
 * log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)): nothing overflows, strongly negative x keep their relative precision, and from 20 on
 * (the threshold) the second term is below half a unit of the first, so the result is x itself. Relative error below 4e-7.
 */
// @ts-ignore: decorator
@inline
export function softplus(x: v128): v128 {
  // The sign bit set: -|x|.
  const small = log1pUnit(exp(v128.or(x, f32x4.splat(-0.0))));
  return f32x4.add(f32x4.pmax(x, f32x4.splat(0)), small);
}

/**
 * x / (1 + exp(-x)); relative error below 4e-7 where the result is normal, below 3e-6 for x within ±2^-121. It is
 * normal down to x = -91.9, while exp(-x) overflows from -88.8 on: so dividend and divisor are taken times 2^-5.
 */
// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  const scale = constant(Constant.GATE_SCALE);
  return f32x4.div(f32x4.mul(x, scale), f32x4.add(scale, expTimes(f32x4.neg(x), scale)));
}
