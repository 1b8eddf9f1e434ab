// The product of a row of a matrix and a row of x, by LANES lanes. Expects the libraries `weights` and `inputs`, and
// the bindings that they name. A lane loads 16 bytes of weights at once: 4 float32, 8 halves or 16 bytes.

/// Columns that a lane takes at once.
fn unit() -> u32 {
  return select(select(8u, 16u, FORMAT == 3u), 4u, FORMAT == 0u);
}

/// TOGETHER rows go at once, so that they share the loads of x; LOADS 16-byte loads of each row are under way at once.
const TOGETHER: u32 = 1u; // constant
const LOADS: u32 = 4u; // constant

/// This lane's part of Σ x w n and, with SQUARES, of Σ x² (n: the norm's weight, 1 without NORM).
fn dotRow(row: u32, base: u32, lane: u32) -> vec2f {
  return dotRows(row, base, lane)[0];
}

/// The same, where the caller has loaded the words of the row's first round.
fn dotRowFrom(words: array<vec4u, LOADS * TOGETHER>, row: u32, base: u32, lane: u32) -> vec2f {
  var sums = dotRound(words, 0u, row, base, lane);
  for (var round = 1u; round < rounds(); round++) {
    let added = dotRound(wordsOf(round, row, lane), round, row, base, lane);
    sums[0] += added[0];
  }
  return sums[0];
}

/// The same for TOGETHER rows from `row` on. Rows past the last repeat it.
fn dotRows(row: u32, base: u32, lane: u32) -> array<vec2f, TOGETHER> {
  var sums: array<vec2f, TOGETHER>;
  // Every round loads its words in the loop. Taking the first ones from outside made this a tenth slower.
  for (var round = 0u; round < rounds(); round++) {
    let added = dotRound(wordsOf(round, row, lane), round, row, base, lane);
    for (var r = 0u; r < TOGETHER; r++) { // unroll
      sums[r] += added[r];
    }
  }
  return sums;
}

fn units() -> u32 {
  return (args.inputs + unit() - 1u) / unit();
}

/// The number of rounds in which the lanes cover a row, with LOADS loads each.
fn rounds() -> u32 {
  return (units() + LOADS * LANES - 1u) / (LOADS * LANES);
}

/// The words of one round. Loads past the row repeat its last one, and add nothing.
fn wordsOf(round: u32, row: u32, lane: u32) -> array<vec4u, LOADS * TOGETHER> {
  let stride = select(paddedInputs(), args.inputs, FORMAT == 0u) / unit();
  var words: array<vec4u, LOADS * TOGETHER>;
  if (FORMAT != 0u || ALIGNED) {
    for (var k = 0u; k < LOADS; k++) {
      let j = min((round * LOADS + k) * LANES + lane, units() - 1u);
      for (var r = 0u; r < TOGETHER; r++) { // unroll
        words[k * TOGETHER + r] = weight[min(row + r, args.outputs - 1u) * stride + j];
      }
    }
  }
  return words;
}

/// The part of each row's sum that one round adds.
fn dotRound(
  words: array<vec4u, LOADS * TOGETHER>,
  round: u32,
  row: u32,
  base: u32,
  lane: u32,
) -> array<vec2f, TOGETHER> {
  var sums: array<vec2f, TOGETHER>;
  for (var k = 0u; k < LOADS; k++) {
    let at = (round * LOADS + k) * LANES + lane;
    let j = min(at, units() - 1u);
    for (var r = 0u; r < TOGETHER; r++) { // unroll
      let added = products(min(row + r, args.outputs - 1u), base, j, words[k * TOGETHER + r]);
      sums[r] += select(vec2f(), added, at < units());
    }
  }
  return sums;
}

/// The part of the sum that the j-th unit of a row adds. `words` are its weights, unless float32 weights are not
/// aligned.
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
    let sum = (product(base, first, vec4f(unpack4xI8(words.x))) + product(base, first + 4u, vec4f(unpack4xI8(words.y))))
      + (product(base, first + 8u, vec4f(unpack4xI8(words.z)))
        + product(base, first + 12u, vec4f(unpack4xI8(words.w))));
    return vec2f(sum.x * scale, sum.y);
  }
  if (FORMAT == 1u) {
    return product(base, j * 8u, float16s(words.xy)) + product(base, j * 8u + 4u, float16s(words.zw));
  }
  return product(base, j * 8u, bfloat16s(words.xy)) + product(base, j * 8u + 4u, bfloat16s(words.zw));
}

fn product(base: u32, column: u32, w: vec4f) -> vec2f {
  let value = input4(base, column, args.inputs);
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
  return masked(norm[column >> 2u], column, args.inputs);
}
