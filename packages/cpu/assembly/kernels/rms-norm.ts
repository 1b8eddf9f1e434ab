/**
 * y = x / sqrt(mean(x²) + eps) · weight for each row. The row is read twice, the second time from the first-level
 * cache. Where `weight` is 0 there is none.
 */
import { loadPart, storePart, sum } from '../lib/lanes';

/** 2^-96. Squares that underflow, below 2^-149, are at most 2^-53 of such a mean. */
export const LEAST_MEAN: f32 = 1.262177448e-29;

export function rmsNorm(x: usize, weight: usize, y: usize, rows: i32, channels: i32, eps: f32): void {
  for (let row = 0; row < rows; row++) {
    const scale = f32x4.splat(inverseRoot(x, channels, eps));
    for (let c = 0; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let value = f32x4.mul(loadPart(x + offset, rest), scale);
      if (weight != 0) value = f32x4.mul(value, loadPart(weight + offset, rest));
      storePart(y + offset, value, rest);
    }
    x += <usize>channels << 2;
    y += <usize>channels << 2;
  }
}

/**
 * The factor of a row: 1 / sqrt(mean(x²) + eps). Where float32 squares overflow, or underflow and eps is small as well,
 * the row is summed again in float64. The factor itself is a float32, and so infinite where the root is below 2^-128.
 */
export function inverseRoot(x: usize, channels: i32, eps: f32): f32 {
  const mean = sumOfSquares(x, channels) / <f32>channels + eps;
  if (mean >= LEAST_MEAN && mean <= f32.MAX_VALUE) return 1 / sqrt<f32>(mean);
  return <f32>(1 / sqrt<f64>(wideSumOfSquares(x, channels) / <f64>channels + <f64>eps));
}

function wideSumOfSquares(x: usize, channels: i32): f64 {
  let sum: f64 = 0;
  for (const end = x + (<usize>channels << 2); x < end; x += 4) {
    const value = <f64>load<f32>(x);
    sum += value * value;
  }
  return sum;
}

function sumOfSquares(x: usize, channels: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let c = 0;
  for (; c + 16 <= channels; c += 16) {
    const a = v128.load(x);
    const b = v128.load(x, 16);
    const d = v128.load(x, 32);
    const e = v128.load(x, 48);
    s0 = f32x4.add(s0, f32x4.mul(a, a));
    s1 = f32x4.add(s1, f32x4.mul(b, b));
    s2 = f32x4.add(s2, f32x4.mul(d, d));
    s3 = f32x4.add(s3, f32x4.mul(e, e));
    x += 64;
  }
  for (; c < channels; c += 4) {
    const a = loadPart(x, channels - c);
    s0 = f32x4.add(s0, f32x4.mul(a, a));
    x += 16;
  }
  return sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}
