// Scores in powers of two, and weights of them. Expects in `args` factor and cap.

/// A score of a product q · k: `factor` times it, or with a cap cap · tanh(factor q · k).
fn scoreOf(product: f32) -> f32 {
  let scaled = args.factor * product;
  if (args.cap > 0.0) {
    return args.cap * tanhOf(scaled);
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
