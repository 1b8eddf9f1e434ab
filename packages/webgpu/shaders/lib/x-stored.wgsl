// x, read directly from its binding, `x: array<vec4f>`.

fn x4(i: u32) -> vec4f {
  return x[i];
}

/// Makes a row of `elements` elements of x ready, and returns the place where it begins. Every lane of the workgroup
/// calls it before the first x4.
fn gatherX(batch: u32, elements: u32, index: u32) -> u32 {
  return batch * elements;
}

/// Makes a row of x ready that begins at element `base`. Every lane of the workgroup calls it before the first x4.
fn prepareX(base: u32, index: u32) {}
