/** float16 and bfloat16: bits to and from float32. */

/** 2^112, the difference of the exponents' biases. */
const REBIAS: f32 = 5192296858534827628530496329220096.0;

/** @inline */
export function rebias(): v128 {
  return f32x4.splat(REBIAS);
}

/**
 * Of eight finite float16, as four words of two, the lower halves as float32 times 2^-112: sign, then exponent and
 * fraction behind three zeros. A product with 2^13 moves a half and spreads its sign to the left; `bits` is
 * Mask.FLOAT16, `up` Mask.UP. Multipliers and shifters share the work of both halves.
 * @inline
 */
export function lowerFloat16(v: v128, bits: v128, up: v128): v128 {
  return v128.and(i32x4.dot_i16x8_s(v, up), bits);
}

/** The upper halves, likewise. @inline */
export function upperFloat16(v: v128, bits: v128): v128 {
  return v128.and(i32x4.shr_s(v, 3), bits);
}

/** Of eight bfloat16, the lower halves of words. @inline */
export function lowerBfloat16(v: v128): v128 {
  return i32x4.shl(v, 16);
}

/** `bits` is Mask.BFLOAT16. @inline */
export function upperBfloat16(v: v128, bits: v128): v128 {
  return v128.and(v, bits);
}

/** Any float16 → float32. */
export function float16ToFloat32(bits: u32): f32 {
  if ((bits & 0x7c00) == 0x7c00) return reinterpret<f32>(((bits & 0x8000) << 16) | 0x7f800000 | ((bits & 0x3ff) << 13));
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * REBIAS;
}

/** float32 → float16, to nearest, ties to even. */
export function float32ToFloat16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return <u16>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return <u16>(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Below 2^-14: adding 1/2 leaves the value as a multiple of 2^-24, rounded by the processor, in the low bits.
    return <u16>(sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000));
  }
  return <u16>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

export function float32ToBfloat16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return <u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/** @inline */
export function bfloat16ToFloat32(bits: u32): f32 {
  return reinterpret<f32>(bits << 16);
}
