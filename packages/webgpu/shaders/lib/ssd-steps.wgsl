// The steps of one chunk of one head, in workgroup memory. Expects the libraries `ssd-args` and `ssd-work-quads` or
// `ssd-work-singles`.
var<workgroup> sizes: array<f32, CHUNK>;
var<workgroup> wholes: array<i32, CHUNK>;
var<workgroup> fractions: array<f32, CHUNK>;

/// Brings the steps in. The next barrier completes it.
fn loadSteps(row: u32, chunk: u32, head: u32, index: u32) {
  for (var t = index; t < CHUNK; t += 128u) {
    let step = stepOf(row, chunk, head, t);
    sizes[t] = step.x;
    wholes[t] = i32(step.y);
    fractions[t] = step.z;
  }
}

/// What is left at step i of what was there at step j, exp(α_i - α_j).
fn decayBetween(i: u32, j: u32) -> f32 {
  return exp2(f32(wholes[i] - wholes[j]) + (fractions[i] - fractions[j]));
}

/// What is left at step i of the state before the chunk, exp(α_i).
fn keptAt(i: u32) -> f32 {
  return exp2(f32(wholes[i]) + fractions[i]);
}
