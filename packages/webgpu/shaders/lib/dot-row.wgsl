// One row of a matrix times one row of x, by LANES lanes; expects the libraries `weights`, `inputs` and bindings as they say.
// A lane loads 16 bytes of weights at once: 4 float32, 8 halves or 16 bytes.

/// Columns that a lane takes at once.
fn unit() -> u32 {
  return select(select(8u, 16u, FORMAT == 3u), 4u, FORMAT == 0u);
}

/// This lane's part of Σ x w n and, with SQUARES, of Σ x² (n: the norm's weight, 1 without NORM).
fn dotRow(row: u32, base: u32, lane: u32) -> vec2f {
  let units = (args.inputs + unit() - 1u) / unit();
  let rounds = (units + 4u * LANES - 1u) / (4u * LANES);
  var sum = vec2f();
  for (var round = 0u; round < rounds; round++) {
    // Four loads under way at once. Those past the row repeat its last one, and count nothing.
    var words: array<vec4u, 4>;
    if (FORMAT != 0u || ALIGNED) {
      for (var k = 0u; k < 4u; k++) {
        let j = min((round * 4u + k) * LANES + lane, units - 1u);
        words[k] = weight[row * (select(paddedInputs(), args.inputs, FORMAT == 0u) / unit()) + j];
      }
    }
    for (var k = 0u; k < 4u; k++) {
      let at = (round * 4u + k) * LANES + lane;
      let j = min(at, units - 1u);
      sum += select(vec2f(), products(row, base, j, words[k]), at < units);
    }
  }
  return sum;
}

/// What the j-th unit of a row adds; `words` are its weights, unless float32 weights are not aligned.
fn products(row: u32, base: u32, j: u32, words: vec4u) -> vec2f {
  if (FORMAT == 0u) {
    if (ALIGNED) {
      return product(base, j * 4u, bitcast<vec4f>(words));
    }
    return product(base, j * 4u, weight4(row, j * 4u));
  }
  if (FORMAT == 3u) {
    let first = j * 16u;
    let scale = scales[row * (paddedInputs() / 32u) + (j >> 1u)];
    return (product(base, first, vec4f(unpack4xI8(words.x)) * scale) + product(base, first + 4u, vec4f(unpack4xI8(words.y)) * scale))
      + (product(base, first + 8u, vec4f(unpack4xI8(words.z)) * scale) + product(base, first + 12u, vec4f(unpack4xI8(words.w)) * scale));
  }
  if (FORMAT == 1u) {
    return product(base, j * 8u, float16s(words.xy)) + product(base, j * 8u + 4u, float16s(words.zw));
  }
  return product(base, j * 8u, bfloat16s(words.xy)) + product(base, j * 8u + 4u, bfloat16s(words.zw));
}

fn product(base: u32, column: u32, w: vec4f) -> vec2f {
  let value = input4(base, column);
  var weighted = value;
  if (NORM) {
    weighted *= normWeight(column);
  }
  return vec2f(dot(weighted, w), select(0.0, dot(value, value), SQUARES));
}

fn normWeight(column: u32) -> vec4f {
  if (ALIGNED) {
    return norm[column >> 2u];
  }
  return masked(norm[column >> 2u], column);
}
