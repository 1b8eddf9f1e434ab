// A row element by element.
alias Piece = f32;
const PIECE = 1u;

fn sumOf(piece: Piece) -> f32 {
  return piece;
}

fn firstOf(piece: Piece) -> f32 {
  return piece;
}

/// The exponent, as a float32 has it in its bits: 255 where the value is NaN or infinite.
fn exponentOf(piece: Piece) -> u32 {
  return (bitcast<u32>(piece) >> 23u) & 255u;
}

/// A value that no compiler may take apart: `zero` is 0, which only the host knows.
fn kept(piece: Piece, zero: u32) -> Piece {
  return bitcast<f32>(bitcast<u32>(piece) ^ zero);
}
