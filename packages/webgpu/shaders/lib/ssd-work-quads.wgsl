// Steps in `work`, read in vec4s. Expects the library `ssd-args`.

/// A step of a chunk of a head: d, the two parts of α, and the derivative of d.
fn stepOf(row: u32, chunk: u32, head: u32, t: u32) -> vec4f {
  return work[stepPlace(row, chunk, head, t) / 4u];
}
