// Four states of a step of B or C, where states and strides are multiples of four.
alias Piece = vec4f;

fn bAt(at: u32, n: u32) -> vec4f {
  return B[at / 4u + n / 4u];
}

fn cAt(at: u32, n: u32) -> vec4f {
  return C[at / 4u + n / 4u];
}
