// A as the scans use it. A rate that is not finite acts as IEEE says, although an implementation's exp2 may give
// anything for NaN, and although a step of 0, which fills up a tile, would make 0 · ∞ NaN. Steps are assumed to be
// positive. Discretisations: 0 euler, 1 zoh, 2 bilinear.

/// The rate as a finite number. -∞ becomes the largest negative float, which forgets at once for steps from 2^-120 on;
/// other rates that are not finite become 0, since `beginning` has their effect.
fn finiteRate(a: f32, discretization: u32) -> f32 {
  if (bitcast<u32>(a) == 0xff800000u && discretization != 2u) {
    return -3.4028234e38;
  }
  return select(0.0, a, (bitcast<u32>(a) & 0x7fffffffu) < 0x7f800000u);
}

/// The value from which a state begins: h, unless A is not finite. It is NaN where A is NaN, where zoh would have
/// expm1(∞) / ∞ and bilinear ∞ / ∞. A rate of +∞ makes it infinite, or NaN, from the first step on.
fn beginning(h: f32, a: f32, discretization: u32) -> f32 {
  let bits = bitcast<u32>(a);
  if ((bits & 0x7fffffffu) < 0x7f800000u || (bits == 0xff800000u && discretization != 2u)) {
    return h;
  }
  let sign = bitcast<u32>(h) & 0x80000000u;
  let grows = bits == 0x7f800000u && discretization == 0u && (bitcast<u32>(h) & 0x7fffffffu) - 1u < 0x7f800000u;
  return bitcast<f32>(select(bits | 0x7fc00000u, bits | sign, grows));
}
