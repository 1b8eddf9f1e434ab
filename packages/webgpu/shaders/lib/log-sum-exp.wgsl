// log Σ exp of scores in powers of two, from the largest of them and the sum of 2^(score - largest). Expects in `args`
// zero, which keeps -∞ from being a constant, which WGSL refuses.

/// -∞ where there is no score. NaN stays NaN, for which an implementation's log2 may give anything.
fn logSumExp(most: f32, weight: f32) -> f32 {
  let value = select(weight, (most + log2(weight)) * 0.6931471805599453, weight > 0.0);
  return select(value, bitcast<f32>(0xff800000u | args.zero), weight == 0.0);
}
