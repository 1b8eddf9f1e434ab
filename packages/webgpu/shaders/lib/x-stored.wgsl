// x as it lies in its binding, `x: array<vec4f>`.

fn x4(i: u32) -> vec4f {
  return x[i];
}

/// Makes a row of x ready, of so many elements, and tells where it begins: every lane of the workgroup calls this
/// before the first x4.
fn gatherX(batch: u32, elements: u32, index: u32) -> u32 {
  return batch * elements;
}
