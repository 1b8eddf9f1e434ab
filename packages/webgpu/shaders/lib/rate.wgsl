// A as the scans take it, so that one that is no finite float acts as IEEE says, whatever an implementation makes of
// NaN in exp2, and of a step of 0, as steps are that fill up a tile: 0 · ∞ would be NaN. Steps are taken to be
// positive. Discretisations: 0 euler, 1 zoh, 2 bilinear.

/// The rate: -∞ is the largest float, which forgets at once for steps from 2^-120 on. Where `beginning` says all, 0.
fn finiteRate(a: f32, discretization: u32) -> f32 {
  if (bitcast<u32>(a) == 0xff800000u && discretization != 2u) {
    return -3.4028234e38;
  }
  return select(0.0, a, (bitcast<u32>(a) & 0x7fffffffu) < 0x7f800000u);
}

/// What states begin from: h, but NaN where A is NaN, where zoh would have expm1(∞) / ∞ and bilinear ∞ / ∞; and where a
/// rate of +∞ has it infinite, or NaN, from the first step on.
fn beginning(h: f32, a: f32, discretization: u32) -> f32 {
  let bits = bitcast<u32>(a);
  if ((bits & 0x7fffffffu) < 0x7f800000u || (bits == 0xff800000u && discretization != 2u)) {
    return h;
  }
  let sign = bitcast<u32>(h) & 0x80000000u;
  let grows = bits == 0x7f800000u && discretization == 0u && (bitcast<u32>(h) & 0x7fffffffu) - 1u < 0x7f800000u;
  return bitcast<f32>(select(bits | 0x7fc00000u, bits | sign, grows));
}
