// The angle of a rotary position. It is formed in turns of 2^64 parts with integers, modulo one turn, so that it is
// exact at any position; sine and cosine are polynomials on an eighth of a turn, since an implementation's own may be
// wrong by 2^-11.

/// Cosine and sine of the angle of a position. `turn` is the part of a turn that one position is, in parts of 2^64: the
/// high word, and then the low one.
fn rotation(position: i32, turn: vec2u) -> vec2f {
  // The high word of position · turn, modulo a turn: a negative position is its magnitude turned back.
  let size = u32(abs(position));
  let product = size * turn.x + highProduct(size, turn.y);
  let phase = select(product, ~product + 1u, position < 0) + 0x20000000u;
  let quarter = phase >> 30u;
  // From -1/8 to 1/8 of a turn, in radians.
  let r = f32(i32(phase & 0x3fffffffu) - 0x20000000) * 1.4629180792671596e-9;
  let q = r * r;
  let sine = r + r * q * (-0.16666666666 + q * (8.3333333e-3 + q * (-1.984126984e-4 + q * 2.755731922e-6)));
  let cosine = 1.0 + q * (-0.5 + q * (4.1666666666e-2 + q * (-1.38888888888e-3
    + q * (2.48015873e-5 - q * 2.755731922e-7))));
  let turned = select(vec2f(cosine, sine), vec2f(-sine, cosine), (quarter & 1u) != 0u);
  return select(turned, -turned, quarter >= 2u);
}

/// The high word of a product of two words.
fn highProduct(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}
