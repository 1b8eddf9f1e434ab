// A row in vec4s: its channels, its stride and its first element's place are multiples of 4.
alias Piece = vec4f;
const PIECE = 4u;

fn sumOf(piece: Piece) -> f32 {
  return (piece.x + piece.y) + (piece.z + piece.w);
}

fn firstOf(piece: Piece) -> f32 {
  return piece.x;
}

/// The largest exponent, as a float32 has it in its bits: 255 where a value is NaN or infinite.
fn exponentOf(piece: Piece) -> u32 {
  let exponents = (bitcast<vec4u>(piece) >> vec4u(23u)) & vec4u(255u);
  return max(max(exponents.x, exponents.y), max(exponents.z, exponents.w));
}

/// A value that no compiler may take apart: `zero` is 0, which only the host knows.
fn kept(piece: Piece, zero: u32) -> Piece {
  return bitcast<vec4f>(bitcast<vec4u>(piece) ^ vec4u(zero));
}
