// The factor of an RMS norm, for rows of any magnitude. Expects `element(i: u32) -> f32`.

/// The two factors, x first and then y, that multiply a row of `count` elements from `first` on by 1 / sqrt(mean(x²) +
/// eps); `squares` is its Σ x². Where that overflowed, or squares vanished beside an eps that is small as well (mean +
/// eps below 2^-96), each lane sums the row again by itself, scaled by a power of two that brings its largest element
/// to 1 … 2. That is slow and rare. The test looks at bits, since an implementation may assume that floats are finite.
/// Values below 2^-126 may count as 0, as WebGPU allows.
fn normFactors(squares: f32, first: u32, count: u32, eps: f32) -> vec2f {
  let mean = squares / f32(count) + eps;
  if (bitcast<u32>(mean) - 0x0f800000u < 0x70000000u) {
    return vec2f(1.0, inverseSqrt(mean));
  }
  var largest = bitcast<u32>(sqrt(eps));
  for (var i = 0u; i < count; i++) {
    largest = max(largest, bitcast<u32>(element(first + i)) & 0x7fffffffu);
  }
  if (largest >= 0x7f800000u) {
    return vec2f(1.0, select(bitcast<f32>(largest), 0.0, largest == 0x7f800000u));
  }
  let power = bitcast<f32>(clamp(254u - (largest >> 23u), 1u, 253u) << 23u);
  var scaled = 0.0;
  for (var i = 0u; i < count; i++) {
    let value = element(first + i) * power;
    scaled += value * value;
  }
  // An implementation may multiply in any order, and power² alone may overflow; the root of eps times power is at most
  // 2.
  let root = sqrt(eps) * power;
  return vec2f(power, inverseSqrt(scaled / f32(count) + root * root));
}
