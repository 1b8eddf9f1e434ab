// link: math, gelu, sigmoid
// The activations of `multiply`.

/// 0 none, 1 silu, 2 gelu, 3 gelu-tanh, 4 relu2, 5 exp, 6 sigmoid, 7 tanh, 8 elu-plus-one, 9 reciprocal.
override ACTIVATION: u32 = 0u;

fn activated(x: f32) -> f32 {
  switch ACTIVATION {
    case 1u: { return silu(x); }
    case 2u: { return gelu(x); }
    case 3u: { return geluTanh(x); }
    case 4u: { return relu2(x); }
    case 5u: { return exponential(x); }
    case 6u: { return sigmoid(x); }
    case 7u: { return hyperbolicTangent(x); }
    case 8u: { return eluPlusOne(x); }
    case 9u: { return 1.0 / x; }
    default: { return x; }
  }
}
