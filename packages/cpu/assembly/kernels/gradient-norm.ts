/**
 * The norm of several tensors: sums of squares in float64 of parts of fixed size, and then the root of their sum in
 * order. So nothing overflows before the root, and the result is the same for any number of threads.
 */

/** Values of a task. */
export const SQUARES_PART = 16384; // host

@unmanaged
export class SquaresCall {
  x: usize;
  size: i32;
  /** A float64 for each task. */
  parts: usize;
}

@unmanaged
export class RootCall {
  parts: usize;
  count: i32;
  y: usize;
}

export function squares(call: SquaresCall, task: i32): void {
  const first = task * SQUARES_PART;
  let x = call.x + (<usize>first << 2);
  const end = x + (<usize>min(SQUARES_PART, call.size - first) << 2);
  let s0 = f64x2.splat(0);
  let s1 = s0;
  for (; x + 16 <= end; x += 16) {
    const low = f64x2.promote_low_f32x4(v128.load64_zero(x));
    const high = f64x2.promote_low_f32x4(v128.load64_zero(x, 8));
    s0 = f64x2.add(s0, f64x2.mul(low, low));
    s1 = f64x2.add(s1, f64x2.mul(high, high));
  }
  s0 = f64x2.add(s0, s1);
  let sum = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (; x < end; x += 4) {
    const value = <f64>load<f32>(x);
    sum += value * value;
  }
  store<f64>(call.parts + (<usize>task << 3), sum);
}

export function root(call: RootCall): void {
  let sum: f64 = 0;
  for (let index = 0; index < call.count; index++) sum += load<f64>(call.parts + (<usize>index << 3));
  store<f32>(call.y, <f32>sqrt<f64>(sum));
}
