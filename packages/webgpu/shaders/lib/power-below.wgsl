// Powers of two of differences from a largest number.

/// 2^x for x of at most 0, or hardly more. NaN stays NaN, for which an implementation's exp2 may give anything.
fn powerBelow(x: f32) -> f32 {
  return select(x, exp2(max(x, -200.0)), x <= 1.0);
}

fn powersBelow(x: vec4f) -> vec4f {
  return select(x, exp2(max(x, vec4f(-200.0))), x <= vec4f(1.0));
}
