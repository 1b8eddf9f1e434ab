// The activations of `multiply` with their derivatives. Expects the libraries `math`, `slopes`, `gelu` and
// `sigmoid`.

/// 0 none, 1 silu, 2 gelu, 3 gelu-tanh, 4 relu2, 5 exp, 6 sigmoid, 7 tanh, 8 elu-plus-one, 9 reciprocal.
override ACTIVATION: u32 = 0u;

/// f(x) and f'(x).
fn activatedAndSlope(x: f32) -> vec2f {
  switch ACTIVATION {
    case 1u: { return vec2f(silu(x), siluAndSlope(x).y); }
    case 2u: { return vec2f(gelu(x), geluSlope(x)); }
    case 3u: { return vec2f(geluTanh(x), geluTanhSlope(x)); }
    // The comparison is false for NaN, which stays.
    case 4u: { return vec2f(relu2(x), select(2.0 * x, 0.0, x <= 0.0)); }
    case 5u: { return vec2f(exponential(x)); }
    case 6u: { return vec2f(sigmoid(x), sigmoidSlope(x)); }
    // tanh(x) is 2 sigmoid(2 x) - 1.
    case 7u: { return vec2f(hyperbolicTangent(x), 4.0 * sigmoidSlope(2.0 * x)); }
    case 8u: { return vec2f(eluPlusOne(x), select(exponential(x), 1.0, x > 0.0)); }
    case 9u: { return vec2f(1.0, -1.0 / x) / x; }
    default: { return vec2f(x, 1.0); }
  }
}

/// Φ(x) + x φ(x), with the probability Φ and the density φ of a normal number.
fn geluSlope(x: f32) -> f32 {
  let tail = normalTail(min(abs(x), 14.5));
  let below = select(tail.y * tail.x, 1.0 - tail.y * tail.x, x >= 0.0);
  return below + x * 0.3989422804014327 * tail.x;
}

/// σ(2 w) (1 + 2 x w' (1 - σ(2 w))), with w as at `geluTanh` and 2 w' = 2 √(2/π) (1 + 3 · 0.044715 x²).
fn geluTanhSlope(x: f32) -> f32 {
  let t = min(abs(x), 11.0);
  let h = geluTanhRoot(t);
  let e = h * h; // exp(-2 |w|)
  let larger = 1.0 / (1.0 + e);
  let sigmoid = select(e, 1.0, x >= 0.0) * larger;
  let rest = select(1.0, e, x >= 0.0) * larger;
  let bounded = clamp(x, -11.0, 11.0);
  return sigmoid * (1.0 + bounded * 1.5957691216057308 * (1.0 + 0.134145 * bounded * bounded) * rest);
}
