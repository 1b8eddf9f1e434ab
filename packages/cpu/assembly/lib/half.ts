/** Conversions of float16 and bfloat16 to and from float32. */

/** 2^112, by which the biases of both formats' exponents differ. */
const REBIAS: f32 = 5192296858534827628530496329220096.0;

/** @inline */
export function rebias(): v128 {
  return f32x4.splat(REBIAS);
}

/**
 * Four of eight finite float16, those in the lower halves of words, as float32 times 2^-112: the sign, and behind three
 * zeros exponent and fraction. A product with 2^13 moves a half up and extends its sign; `bits` is Mask.FLOAT16, and
 * `up` is Mask.UP. Upper halves are shifted instead, so multipliers and shifters share the work.
 * @inline
 */
export function lowerFloat16(v: v128, bits: v128, up: v128): v128 {
  return v128.and(i32x4.dot_i16x8_s(v, up), bits);
}

/** The same for the upper halves of words. @inline */
export function upperFloat16(v: v128, bits: v128): v128 {
  return v128.and(i32x4.shr_s(v, 3), bits);
}

/** Four of eight bfloat16 as float32, those in the lower halves of words. @inline */
export function lowerBfloat16(v: v128): v128 {
  return i32x4.shl(v, 16);
}

/** The same for the upper halves of words; `bits` is Mask.BFLOAT16. @inline */
export function upperBfloat16(v: v128, bits: v128): v128 {
  return v128.and(v, bits);
}

/** Converts any float16 to float32. */
export function float16ToFloat32(bits: u32): f32 {
  if ((bits & 0x7c00) == 0x7c00) return reinterpret<f32>(((bits & 0x8000) << 16) | 0x7f800000 | ((bits & 0x3ff) << 13));
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * REBIAS;
}

/** Rounds float32 to float16, to the nearest value, ties to even. */
export function float32ToFloat16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return <u16>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return <u16>(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Below 2^-14, adding 1/2 leaves a multiple of 2^-24 in the low bits, which the processor has rounded.
    return <u16>(sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000));
  }
  return <u16>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

/** Rounds float32 to bfloat16, to the nearest value, ties to even. */
export function float32ToBfloat16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return <u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/** @inline */
export function bfloat16ToFloat32(bits: u32): f32 {
  return reinterpret<f32>(bits << 16);
}
