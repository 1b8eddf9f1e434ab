// Sigmoid, hyperbolic tangent and elu + 1. Expects the library `math`. The magnitude is bounded where the results have
// come to their ends, and NaN is found by its bits, since an implementation's exp may give anything for infinities and
// NaN.

/// 1 / (1 + exp(-x)), with a relative error below 1e-6 where it is normal.
fn sigmoid(x: f32) -> f32 {
  let e = expOf(-min(abs(x), 110.0));
  return unlessNan(select(e, 1.0, x >= 0.0) / (1.0 + e), x);
}

/// The derivative of the sigmoid, from exp(-|x|), so that nothing cancels.
fn sigmoidSlope(x: f32) -> f32 {
  let e = expOf(-min(abs(x), 110.0));
  return unlessNan(e / ((1.0 + e) * (1.0 + e)), x);
}

/// tanh(x), with a relative error below 1e-6: (1 - e) / (1 + e) with e = exp(-2 |x|), and within ±1/2, where that
/// cancels, x (1 + x² P(x²)) with the polynomial of least relative error, 1.6e-8.
fn hyperbolicTangent(x: f32) -> f32 {
  let t = min(abs(x), 55.0);
  let e = expOf(-2.0 * t);
  let far = (1.0 - e) / (1.0 + e);
  let square = t * t;
  let p = -0.333331435918808 + square * (0.13325878977775574 + square * (-0.05304549261927605
    + square * 0.01724148727953434));
  let value = select(far, t + t * (square * p), t < 0.5);
  return unlessNan(select(value, -value, x < 0.0), x);
}

/// x + 1 above 0, and exp(x) below.
fn eluPlusOne(x: f32) -> f32 {
  return select(exponential(x), x + 1.0, x > 0.0);
}

/// `value`, or x where x is NaN.
fn unlessNan(value: f32, x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  return bitcast<f32>(select(bitcast<u32>(value), bits, (bits & 0x7fffffffu) > 0x7f800000u));
}
