// x as the products of dot-row.wgsl meet it, directly from where it lies.

/// Each row's sums, as dotRows gives them.
fn rowSums(row: u32, base: u32, lane: u32, index: u32) -> array<vec2f, TOGETHER> {
  return dotRows(row, base, lane);
}

/// The product of four columns of q8 or q4, the c-th of the j-th unit, and their squares.
fn quadProduct(base: u32, j: u32, c: u32, w: vec4f) -> vec2f {
  return product(base, j * unit() + 4u * c, w);
}
