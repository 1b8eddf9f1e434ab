// Steps in `work`, read element by element. Expects the library `ssd-args`.

/// A step of a chunk of a head: d, the two parts of α, and the derivative of d.
fn stepOf(row: u32, chunk: u32, head: u32, t: u32) -> vec4f {
  let place = stepPlace(row, chunk, head, t);
  return vec4f(work[place], work[place + 1u], work[place + 2u], work[place + 3u]);
}
