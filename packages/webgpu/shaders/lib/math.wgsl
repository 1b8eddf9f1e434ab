// Elementary functions with the accuracy that WGSL does not promise: its log has an absolute error of 2^-21 near 1.

// None of them divides, since a division is some ten instructions and a branch.

/// log(1 + exp(x)); x itself above 20, and for NaN, for which an implementation's exp and max may give anything.
/// exp(-|x|) never exceeds 1, so the relative error is below 1e-6 wherever the result is normal.
fn softplus(x: f32) -> f32 {
  return select(x, max(x, 0.0) + log1pUnit(expOf(max(-abs(x), -200.0))), x <= 20.0);
}

/// exp(x) for finite x. An implementation's own exp rounds x log2(e), which costs 4e-6 of the result near -84. Here p
/// is that product cut to 20 bits. ln 2 is taken in two parts, the first of 4 bits, so p times it is subtracted from x
/// without an error; the remainder is below 2e-4.
fn expOf(x: f32) -> f32 {
  let p = bitcast<f32>(bitcast<u32>(x * 1.4426950408889634) & 0xfffffff0u);
  return exp2(p) * (((x - p * 0.6875) + 1.0) - p * 0.005647180559945309);
}

/// exp(x) for every x. NaN stays NaN, for which an implementation's exp may give anything.
fn exponential(x: f32) -> f32 {
  let within = abs(x) <= 200.0;
  return select(x, select(exp(x), expOf(clamp(x, -200.0, 200.0)), within), x <= 3.4028234e38);
}

/// log(1 + e) for e ≥ 0, with the relative error of an addition and a product.
fn log1p(e: f32) -> f32 {
  return select(log(1.0 + e), log1pUnit(e), e <= 1.0);
}

/// log(1 + e) for 0 ≤ e ≤ 1: e (1 + e P(e)) with the polynomial of least relative error, 3.4e-8.
fn log1pUnit(e: f32) -> f32 {
  let p = -0.49999648332595825 + e * (0.3332132399082184 + e * (-0.24857163429260254 + e * (0.1915365606546402
    + e * (-0.13753803074359894 + e * (0.07920455187559128 + e * (-0.03006580099463463 + e * 0.005364826414734125))))));
  return e * (1.0 + e * p);
}

/// x / (1 + exp(-x)) without an overflow on the way. exp(x) ceases to be normal at -87.3 and the result at -91.9, so
/// exp(x / 2) is multiplied in twice. The relative error is below 1e-6 from -8 on, and below 1e-5 elsewhere, which is
/// that of exp.
fn silu(x: f32) -> f32 {
  let h = exp(-0.5 * abs(x));
  let root = inverseSqrt(1.0 + h * h);
  return select(x * h * h, x, x >= 0.0) * (root * root);
}
