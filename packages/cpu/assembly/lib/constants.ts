/**
 * The constants of the kernels, in memory. V8 (Node 24) is slow with v128.const in hot loops, so kernels load these
 * instead, before the loop where it is hot. They are never written after instantiation.
 */
const TABLE: usize = memory.data<f32>([
  1.4426950408889634, // LOG2_E
  0.693359375, // LN2_HIGH: 9 bits, so that n LN2_HIGH is exact
  -2.12194440e-4, // LN2_LOW
  12582912, // ROUND: 1.5 · 2^23; adding it rounds to an integer, which the low bits hold
  -104, // EXP_MIN: exp is 0 below
  96, // EXP_MAX: exp is infinite above, and so is 2^-5 exp
  // exp(r) = 1 + r (1 + r (E2 + …)) on |r| ≤ ln 2 / 2, minimax, 3.6e-9
  0.5, // E2
  0.16666534543037415, // E3
  0.041667237877845764, // E4
  0.008367500267922878, // E5
  0.001386376447044313, // E6
  // 2 atanh(s) = s (2 + s² (L1 + …)) on s ≤ 1/3, minimax, 4.5e-9
  0.666664183139801, // L1
  0.4002152681350708, // L2
  0.2800179421901703, // L3
  0.28012046217918396, // L4
  0.6931471805599453, // LN2
  // 2^r = 1 + r (P1 + r (P2 + …)) on |r| ≤ 1/2, minimax in relative error, 9.2e-8
  0.6931470036506653, // P1
  0.24022242426872253, // P2
  0.05550733581185341, // P3
  0.009671512991189957, // P4
  0.001326472731307149, // P5
  12583039, // ROUND_BIASED: ROUND + 127; the low bits are a float's exponent
  -127, // POWER_MIN: 2^x is flushed to 0 below -126.5
  -64, // DECAY_MIN: the least x of a step backward; less is no part of a gradient that float32 can tell
  -1, // NEAR_MIN: the least x of a tile whose state is split, see decay.ts
  -0.5, // STEP_MIN: the least x of a step whose 2^x has no whole part
  -160, // GROWTH_MIN: the least x of `boundedPower`
  130, // GROWTH_MAX: its largest x
  1.0, // ONE
  2.0, // TWO
  0.5, // HALF
  0.03125, // GATE_SCALE: 2^-5
  3.0, // THREE
  6.0, // SIX
  14.5, // TAIL_MAX: exp(-t² / 2) underflows to 0 beyond
  0.3989422804014327, // NORMAL_PEAK: 1 / √(2π)
  1.5957691216057308, // CUBIC_1: 2 √(2/π)
  0.07135481627260025, // CUBIC_3: that times 0.044715
  11.0, // CUBIC_MAX: gelu-tanh of less than -11 is 0
  // exp(t² / 2) erfc(t / √2) / 2 = u (T0 + q (T1 + …)), u = 1 / (t + 3), q = 6 u - 1, on 0 ≤ t ≤ 13.3, minimax, 4e-8
  0.7290836572647095, // T0
  0.5093322396278381, // T1
  0.23001925647258759, // T2
  0.04725722223520279, // T3
  -0.0104795191437006, // T4
  -0.00692950002849102, // T5
  0.0010774844558909535, // T6
  0.0009114205604419112, // T7
  -0.0002722041099332273, // T8
  // tanh(x) = x (1 + x² (H1 + x² (H2 + …))) on |x| ≤ 1/2, minimax in relative error, 1.6e-8
  -0.333331435918808, // H1
  0.13325878977775574, // H2
  -0.05304549261927605, // H3
  0.01724148727953434, // H4
]);

export const enum Constant {
  LOG2_E,
  LN2_HIGH,
  LN2_LOW,
  ROUND,
  EXP_MIN,
  EXP_MAX,
  E2,
  E3,
  E4,
  E5,
  E6,
  L1,
  L2,
  L3,
  L4,
  LN2,
  P1,
  P2,
  P3,
  P4,
  P5,
  ROUND_BIASED,
  POWER_MIN,
  DECAY_MIN,
  NEAR_MIN,
  STEP_MIN,
  GROWTH_MIN,
  GROWTH_MAX,
  ONE,
  TWO,
  HALF,
  GATE_SCALE,
  THREE,
  SIX,
  TAIL_MAX,
  NORMAL_PEAK,
  CUBIC_1,
  CUBIC_3,
  CUBIC_MAX,
  T0,
  T1,
  T2,
  T3,
  T4,
  T5,
  T6,
  T7,
  T8,
  H1,
  H2,
  H3,
  H4,
}

const WIDE_TABLE: usize = memory.data<f64>([
  1.5957691216057308, // CUBIC_1: 2 √(2/π)
  0.07135481627260025, // CUBIC_3: that times 0.044715
]);

export const enum WideConstant {
  CUBIC_1,
  CUBIC_3,
}

const MASKS: usize = memory.data<u32>([
  0x8fffe000, // FLOAT16: the bits that a float16 has in a float32 times 2^-112
  0x00002000, // UP: 2^13 and 0 in lanes of 16 bits
  0xffff0000, // BFLOAT16: the bits that a bfloat16 has in a float32
  0x000f000f, // NIBBLE
  0x7fffffff, // MAGNITUDE: all but the sign
  0xfffff000, // SQUARE: a float32 of 12 bits, whose square is exact
]);

export const enum Mask {
  FLOAT16,
  UP,
  BFLOAT16,
  NIBBLE,
  MAGNITUDE,
  SQUARE,
}

/** The mask in all lanes of 32 bits. @inline */
export function mask(name: Mask): v128 {
  return v128.load32_splat(MASKS + ((<usize>name) << 2));
}

/** The constant in all lanes. @inline */
export function constant(name: Constant): v128 {
  return v128.load32_splat(TABLE + ((<usize>name) << 2));
}

/** The float64 constant in both lanes. @inline */
export function wideConstant(name: WideConstant): v128 {
  return v128.load64_splat(WIDE_TABLE + ((<usize>name) << 3));
}
