// A sum of products in one order, whatever shader forms it.

/// Adds a · b to a sum by four multiply-adds, one after the other; `dot` and an addition would be five operations.
fn dotOnto(a: vec4f, b: vec4f, sum: f32) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}
