/**
 * a b + c, rounded once in the relaxed build where the processor has fused multiply-add, and twice otherwise.
 * @inline
 */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_madd<f32>(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
