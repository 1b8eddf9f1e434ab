/** softplus and silu. */
import { Constant, constant } from './constants';
import { exp } from './exp';
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

/** x / (1 + exp(-x)); relative error below 4e-7 where the result is normal. */
// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(constant(Constant.ONE), exp(f32x4.neg(x))));
}
