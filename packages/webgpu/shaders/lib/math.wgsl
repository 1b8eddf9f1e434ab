// Elementary functions with the accuracy that WGSL does not promise: its log has an absolute error of 2^-21 near 1.

/// log(1 + exp(x)), x itself above 20; relative error below 1e-6 for every x: exp(-|x|) never exceeds 1, so a series serves.
fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  // log1p(e) = 2 artanh(s), s = e / (2 + e) at most 1/3.
  let s = e / (2.0 + e);
  let q = s * s;
  let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0))))));
  return select(max(x, 0.0) + 2.0 * s * series, x, x > 20.0);
}

/// x / (1 + exp(-x)), without an overflow on the way.
fn silu(x: f32) -> f32 {
  let e = exp(-abs(x));
  return x * select(e, 1.0, x >= 0.0) / (1.0 + e);
}
