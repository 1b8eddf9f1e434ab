// Scores in powers of two, and weights of them. Expects in `args` factor and cap.

/// Whether scores have a cap.
override CAPPED: bool = false;

/// A score of a product q · k: `factor` times it, or with a cap cap · tanh(factor q · k).
fn scoreOf(product: f32) -> f32 {
  if (CAPPED) {
    return args.cap * tanhOf(args.factor * product);
  }
  return args.factor * product;
}

fn scoresOf(products: vec4f) -> vec4f {
  return capped(args.factor * products);
}

/// Scores whose factor is applied already.
fn capped(scaled: vec4f) -> vec4f {
  if (CAPPED) {
    return args.cap * vec4f(tanhOf(scaled.x), tanhOf(scaled.y), tanhOf(scaled.z), tanhOf(scaled.w));
  }
  return scaled;
}

/// tanh by (1 - e) / (1 + e) with e = exp(-2 |x|), and by its series where that would cancel. NaN stays NaN.
fn tanhOf(x: f32) -> f32 {
  let size = abs(x);
  let e = exp2(max(-2.8853900817779268 * size, -100.0));
  let far = sign(x) * (1.0 - e) / (1.0 + e);
  let square = x * x;
  let series = -0.3333333333 + square * (0.1333333333 + square * (-0.0539682540 + square * 0.0218694885));
  return select(select(x, far, size >= 0.3), x + x * square * series, size < 0.3);
}
