// Activations four at a time: expects the libraries `x-stored` or `x-summed`, and `weights`.

/// x[base + column … base + column + 3], zero from `columns` on; column is a multiple of 4.
fn input4(base: u32, column: u32, columns: u32) -> vec4f {
  let i = base + column;
  if (ALIGNED) {
    return x4(i >> 2u);
  }
  return masked(straddle(x4(i >> 2u), x4((i >> 2u) + 1u), i & 3u), column, columns);
}
