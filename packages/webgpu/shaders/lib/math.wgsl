// Elementary functions with the accuracy that WGSL does not promise: its log has an absolute error of 2^-21 near 1.

// None of them divides: a division is some ten instructions and a branch.

/// log(1 + exp(x)), x itself above 20 and for NaN, of which an implementation's exp and max may make anything; relative error below 1e-6
/// for every x whose result is normal, as exp(-|x|) never exceeds 1.
fn softplus(x: f32) -> f32 {
  let h = rootOfExp(abs(x));
  return select(x, max(x, 0.0) + log1pUnit(h * h), x <= 20.0);
}

/// exp(-x / 2) for x ≥ 0; 0 above 160. An implementation's exp rounds x log2(e), which costs 2.7e-8 of the result a unit of x: here only
/// the remainder x / 2 - n ln 2, below 0.35, is rounded. So square it for exp(-x), in two products where it would leave what is normal.
fn rootOfExp(x: f32) -> f32 {
  let n = round(x * 0.7213475204444817);
  let rest = (n * 0.693359375 - 0.5 * x) - n * 2.1219444e-4; // ln 2 in two parts, of which n times the first is exact
  let power = bitcast<f32>(bitcast<u32>(exp2(rest * 1.4426950408889634)) - (u32(n) << 23u));
  return select(power, 0.0, x > 160.0);
}

/// log(1 + e) for e ≥ 0, with the relative error of an addition and a product.
fn log1p(e: f32) -> f32 {
  return select(log(1.0 + e), log1pUnit(e), e <= 1.0);
}

/// log(1 + e) for 0 ≤ e ≤ 1: e (1 + e P(e)) with the polynomial of least relative error, 1.5e-8.
fn log1pUnit(e: f32) -> f32 {
  let p = -0.49999892711639404 + e * (0.33329710364341736 + e * (-0.24951615929603577 + e * (0.1966327428817749
    + e * (-0.1526966691017151 + e * (0.10543623566627502 + e * (-0.056373611092567444 + e * (0.019542526453733444
    + e * -0.0031760570127516985)))))));
  return e * (1.0 + e * p);
}

/// x / (1 + exp(-x)), without an overflow on the way; relative error below 1e-6 where the result is normal, which it
/// still is where exp(x) is not.
fn silu(x: f32) -> f32 {
  let h = rootOfExp(abs(x));
  let root = inverseSqrt(1.0 + h * h);
  return select(x * h * h, x, x >= 0.0) * (root * root);
}
