// The product of a row of a matrix and a row of x, by LANES lanes. Expects the libraries `weights`, `inputs` and one of
// `quads-…`, and the bindings that they name. A lane loads 16 bytes of weights at once, which are a unit: 4 float32, 8
// halves, 16 columns of q8, or the 32 of a block of q4.

/// Columns of a unit.
fn unit() -> u32 {
  if (FORMAT == 4u) {
    return 32u;
  }
  return select(select(8u, 16u, FORMAT == 3u), 4u, FORMAT == 0u);
}

/// TOGETHER rows go at once, so that they share the loads of x; LOADS 16-byte loads of each row are under way at once.
const TOGETHER: u32 = 1u; // constant
const LOADS: u32 = 4u; // constant

/// This lane's part of Σ x w n and, with SQUARES, of Σ x² (n: the norm's weight, 1 without NORM), for TOGETHER rows
/// from `row` on. Rows past the last repeat it.
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

/// The same, where the caller has loaded the words of the first round.
fn dotRowsFrom(words: array<vec4u, LOADS * TOGETHER>, row: u32, base: u32, lane: u32) -> array<vec2f, TOGETHER> {
  var sums = dotRound(words, 0u, row, base, lane);
  for (var round = 1u; round < rounds(); round++) {
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
    for (var k = 0u; k < LOADS; k++) { // unroll
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
  for (var k = 0u; k < LOADS; k++) { // unroll
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
  if (FORMAT == 1u) {
    return product(base, j * 8u, float16s(words.xy)) + product(base, j * 8u + 4u, float16s(words.zw));
  }
  if (FORMAT == 2u) {
    return product(base, j * 8u, bfloat16s(words.xy)) + product(base, j * 8u + 4u, bfloat16s(words.zw));
  }
  var sum = vec2f();
  for (var c = 0u; c < 4u; c++) { // unroll
    if (FORMAT == 3u) {
      sum += quadProduct(base, j, c, bytes(words[c]));
    } else {
      sum += quadProduct(base, j, c, nibbles(words[c], false)) + quadProduct(base, j, c + 4u, nibbles(words[c], true));
    }
  }
  return vec2f(sum.x * blockScale(row, select(j, j >> 1u, FORMAT == 3u)), sum.y);
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
