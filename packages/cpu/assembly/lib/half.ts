/** float16 and bfloat16: bits to and from float32. */

/** 2^112, the difference of the exponents' biases. */
const REBIAS: f32 = 5192296858534827628530496329220096.0;

// @ts-ignore: decorator
@inline
export function rebias(): v128 {
  return f32x4.splat(REBIAS);
}

// @ts-ignore: decorator
@inline
export function halfMask(): v128 {
  return i16x8.splat(<i16>0x8fff);
}

/** Lanes 0 … 3 of eight halves in the upper halves of four words; a bfloat16 is a float32 then. */
// @ts-ignore: decorator
@inline
export function raiseLow(v: v128): v128 {
  return v128.shuffle<u16>(i64x2.splat(0), v, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
export function raiseHigh(v: v128): v128 {
  return v128.shuffle<u16>(i64x2.splat(0), v, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** The upper halves of eight finite float16 as float32 times 2^-112: sign, then exponent and fraction behind three zeros. */
// @ts-ignore: decorator
@inline
export function upperHalves(v: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_s(v, 3), mask);
}

/** Their lower halves: what remains of the fractions. */
// @ts-ignore: decorator
@inline
export function lowerHalves(v: v128): v128 {
  return i16x8.shl(v, 13);
}

// @ts-ignore: decorator
@inline
export function joinLow(lower: v128, upper: v128): v128 {
  return v128.shuffle<u16>(lower, upper, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
export function joinHigh(lower: v128, upper: v128): v128 {
  return v128.shuffle<u16>(lower, upper, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Any float16 → float32. */
export function halfToFloat(bits: u32): f32 {
  if ((bits & 0x7c00) == 0x7c00) return reinterpret<f32>(((bits & 0x8000) << 16) | 0x7f800000 | ((bits & 0x3ff) << 13));
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * REBIAS;
}

/** float32 → float16, to nearest, ties to even. */
export function floatToHalf(value: f32): u16 {
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

export function floatToBrain(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return <u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// @ts-ignore: decorator
@inline
export function brainToFloat(bits: u32): f32 {
  return reinterpret<f32>(bits << 16);
}
