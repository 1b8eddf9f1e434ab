/** Functions of float64, one number at a time, for what is computed once for many steps. Errors are below 1e-12. */

const LOG2_E: f64 = 1.4426950408889634;
const LN2_HIGH: f64 = 0.693147180369123816490;
const LN2_LOW: f64 = 1.90821492927058770002e-10;
const TWO_OVER_PI: f64 = 0.6366197723675814;
/** π/2 in parts, the first two of 33 bits, so that their products with numbers below 2^20 are exact. */
const HALF_PI_1: f64 = 1.57079632673412561417;
const HALF_PI_2: f64 = 6.07710050630396597660e-11;
const HALF_PI_3: f64 = 2.02226624879595063154e-21;
/** Angles beyond have no sine and cosine here. */
const LARGEST_ANGLE: f64 = 4096;

/** exp(x), which is 0 below -700 and infinite above 700. */
export function wideExp(x: f64): f64 {
  if (x > 700) return Infinity;
  if (x < -700) return 0;
  if (x != x) return x;
  const n = nearest<f64>(x * LOG2_E);
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  let p: f64 = 1 + r * (1.0 / 11.0);
  p = 1 + p * r * (1.0 / 10.0);
  p = 1 + p * r * (1.0 / 9.0);
  p = 1 + p * r * (1.0 / 8.0);
  p = 1 + p * r * (1.0 / 7.0);
  p = 1 + p * r * (1.0 / 6.0);
  p = 1 + p * r * (1.0 / 5.0);
  p = 1 + p * r * (1.0 / 4.0);
  p = 1 + p * r * (1.0 / 3.0);
  p = 1 + p * r * (1.0 / 2.0);
  p = 1 + p * r;
  return p * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** Stores cos(x) and then sin(x); NaN for |x| above 2^12. */
export function storeCosineAndSine(x: f64, to: usize): void {
  if (!(abs<f64>(x) <= LARGEST_ANGLE)) {
    store<f64>(to, NaN);
    store<f64>(to, NaN, 8);
    return;
  }
  const n = nearest<f64>(x * TWO_OVER_PI);
  const r = x - n * HALF_PI_1 - n * HALF_PI_2 - n * HALF_PI_3;
  const square = r * r;
  let cosine: f64 = 1 - square * (1.0 / 182.0);
  cosine = 1 - cosine * square * (1.0 / 132.0);
  cosine = 1 - cosine * square * (1.0 / 90.0);
  cosine = 1 - cosine * square * (1.0 / 56.0);
  cosine = 1 - cosine * square * (1.0 / 30.0);
  cosine = 1 - cosine * square * (1.0 / 12.0);
  cosine = 1 - cosine * square * (1.0 / 2.0);
  let sine: f64 = 1 - square * (1.0 / 156.0);
  sine = 1 - sine * square * (1.0 / 110.0);
  sine = 1 - sine * square * (1.0 / 72.0);
  sine = 1 - sine * square * (1.0 / 42.0);
  sine = 1 - sine * square * (1.0 / 20.0);
  sine = 1 - sine * square * (1.0 / 6.0);
  sine *= r;
  const quarter = <i32>n & 3;
  const swapped = (quarter & 1) != 0;
  const c = swapped ? sine : cosine;
  const s = swapped ? cosine : sine;
  store<f64>(to, quarter == 1 || quarter == 2 ? -c : c);
  store<f64>(to, quarter >= 2 ? -s : s, 8);
}
