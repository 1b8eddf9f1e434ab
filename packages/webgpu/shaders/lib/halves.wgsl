enable f16;
// Float32 numbers as halves, and as pairs of them.

/// The nearest halves, computed in float32: a compiler may take a conversion to f16 and back for no change.
fn nearest(value: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(value) + 0x1000u) & vec4u(0xffffe000u));
}

fn packed(first: vec4f, second: vec4f) -> vec4u {
  return vec4u(bitcast<vec2u>(vec4<f16>(first)), bitcast<vec2u>(vec4<f16>(second)));
}
