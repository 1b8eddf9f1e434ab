/** Logarithms, by 2 atanh(s) = log((1 + s) / (1 - s)). */
import { Constant, constant } from './constants';

/** 2 atanh(s) for |s| ≤ 1/3, with a relative error below 1e-7. @inline */
export function twoAtanh(s: v128): v128 {
  const square = f32x4.mul(s, s);
  let p = f32x4.add(f32x4.mul(constant(Constant.L4), square), constant(Constant.L3));
  p = f32x4.add(f32x4.mul(p, square), constant(Constant.L2));
  p = f32x4.add(f32x4.mul(p, square), constant(Constant.L1));
  return f32x4.add(f32x4.mul(f32x4.mul(p, square), s), f32x4.add(s, s));
}

/** log1p(e) for 0 ≤ e ≤ 1, with a relative error below 2e-7, also for small e. @inline */
export function log1pUnit(e: v128): v128 {
  return twoAtanh(f32x4.div(e, f32x4.add(e, constant(Constant.TWO))));
}

/** log(x) for normal x ≥ 1; NaN and infinity give NaN. @inline */
export function log(x: v128): v128 {
  const one = constant(Constant.ONE);
  // x = m 2^n with m in [0.75, 1.5): adding a quarter of the fraction's range carries into the exponent from 1.5 on.
  const n = i32x4.shr_s(i32x4.sub(i32x4.add(x, i32x4.splat(0x00400000)), one), 23);
  const m = i32x4.sub(x, i32x4.shl(n, 23));
  const s = f32x4.div(f32x4.sub(m, one), f32x4.add(m, one));
  const value = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(n), constant(Constant.LN2)), twoAtanh(s));
  return f32x4.add(value, f32x4.sub(x, x));
}
