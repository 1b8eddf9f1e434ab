// The activations of `multiply` that are not SiLU. Expects the library `math`.

/// x (1 + erf(x / √2)) / 2, which is x times the probability of a normal number below x. With t = |x|, that probability
/// is the tail exp(-t² / 2) R(t) for x below 0, and 1 less the tail otherwise. R is u P(6 u - 1) with u = 1 / (t + 3)
/// and the polynomial of least relative error, 4e-8. The square is taken in two parts, of which the first has so few
/// bits that it is exact, so the error does not grow with t. The relative error is below 2e-6 where the result is
/// normal, down to x = -13.1.
fn gelu(x: f32) -> f32 {
  let tail = normalTail(min(abs(x), 14.5));
  let value = select((x * tail.y) * tail.x, x * (1.0 - tail.y * tail.x), x >= 0.0);
  return finiteOr(value, x);
}

/// exp(-t² / 2), and R(t), the ratio of the tail to it, for t up to 14.5.
fn normalTail(t: f32) -> vec2f {
  let u = 1.0 / (t + 3.0);
  let q = u * 6.0 - 1.0;
  let p = 0.7290836572647095 + q * (0.5093322396278381 + q * (0.23001925647258759 + q * (0.04725722223520279
    + q * (-0.0104795191437006 + q * (-0.00692950002849102 + q * (0.0010774844558909535 + q * (0.0009114205604419112
    + q * -0.0002722041099332273)))))));
  let short = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
  let power = expOf(-0.5 * short * short) * exp(-0.5 * (t + short) * (t - short));
  return vec2f(power, u * p);
}

/// x (1 + tanh(w)) / 2 with w = √(2/π) (x + 0.044715 x³), as x / (1 + exp(-2 w)). The exponential is taken as h², since
/// it ceases to be normal before the result does. -log2(h) = K1 t + K3 t³ with t = |x| is a sum of three terms; the
/// first two are exact, as each of their factors has few bits, so the error does not grow with t. The relative error is
/// below 2e-6 where the result is normal, down to x = -10.
fn geluTanh(x: f32) -> f32 {
  let t = min(abs(x), 11.0);
  let h = geluTanhRoot(t);
  let value = select(-t * h * h, x, x >= 0.0) / (1.0 + h * h);
  return finiteOr(value, x);
}

/// h at t, up to 11.
fn geluTanhRoot(t: f32) -> f32 {
  let short = bitcast<f32>(bitcast<u32>(t) & 0xffff0000u);
  let cube = short * short * short;
  let high = bitcast<f32>(bitcast<u32>(cube) & 0xfffff000u);
  let rest = (t - short) * (1.1511040990721626 + 0.05147161979001175 * (t * t + t * short + short * short))
    + (0.0002251928235637024 * short + 3.7242821235849988e-06 * cube + 0.0514678955078125 * (cube - high));
  return exp2(-1.15087890625 * short) * exp2(-0.0514678955078125 * high) * exp2(-rest);
}

/// max(x, 0)²
fn relu2(x: f32) -> f32 {
  let positive = max(x, 0.0);
  return finiteOr(positive * positive, select(x, 0.0, bitcast<u32>(x) == 0xff800000u));
}

/// `value` where x is finite; x itself where it is NaN or ∞; NaN for -∞, where the limit is 0 · ∞. The test looks at
/// bits, since an implementation's min, max and exp may give anything for NaN and ∞.
fn finiteOr(value: f32, x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) < 0x7f800000u) {
    return value;
  }
  return bitcast<f32>(select(bits, 0x7fc00000u | bits, bits != 0x7f800000u));
}
