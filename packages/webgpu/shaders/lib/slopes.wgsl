// Functions together with their derivatives, from one exponential. Expects the library `math`.

/// softplus(x), and its derivative, the sigmoid of x, which is exactly 1 above the threshold. 1 - exp(-softplus(x))
/// would cancel where x is very negative.
fn softplusAndSlope(x: f32) -> vec2f {
  if (!(x <= 20.0)) {
    return vec2f(x, 1.0);
  }
  let e = expOf(max(-abs(x), -200.0));
  let root = inverseSqrt(1.0 + e);
  return vec2f(max(x, 0.0) + log1pUnit(e), select(e, 1.0, x >= 0.0) * (root * root));
}

/// silu(x), and its derivative σ(x) (1 + x (1 - σ(x))).
fn siluAndSlope(x: f32) -> vec2f {
  let e = exp(-abs(x));
  let root = inverseSqrt(1.0 + e);
  let larger = root * root;
  let sigmoid = select(e, 1.0, x >= 0.0) * larger;
  let rest = select(1.0, e, x >= 0.0) * larger;
  return vec2f(x * sigmoid, sigmoid * (1.0 + x * rest));
}
