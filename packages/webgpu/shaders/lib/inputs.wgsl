// Activations four at a time: expects a binding `x: array<vec4f>` and the library `weights`.

/// x[base + column … base + column + 3], zero past the last column; column is a multiple of 4.
fn input4(base: u32, column: u32) -> vec4f {
  let i = base + column;
  if (ALIGNED) {
    return x[i >> 2u];
  }
  return masked(straddle(x[i >> 2u], x[(i >> 2u) + 1u], i & 3u), column);
}
