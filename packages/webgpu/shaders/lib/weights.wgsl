// Weights of any stored format, four at a time. Expects bindings `weight: array<vec4u>` and `scales: array<u32>`, and
// in `args` `inputs` (columns). float32 rows are contiguous; all others are padded with zeros to whole blocks of 32
// columns. A block of q8 and q4 has one scale, in bfloat16, two to a word.
// A block of q4 is four words, each with four columns in its low nibbles, and four in its high ones, 16 further on.
override FORMAT: u32 = 0u; // 0 float32, 1 float16, 2 bfloat16, 3 q8, 4 q4
/// Columns, strides and offsets of x and of float32 weights are multiples of what a lane loads at once.
override ALIGNED: bool = true;

fn paddedInputs() -> u32 {
  return padded(args.inputs);
}

fn padded(columns: u32) -> u32 {
  return (columns + 31u) & 0xffffffe0u;
}

fn float16s(words: vec2u) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn bfloat16s(words: vec2u) -> vec4f {
  return bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}

/// Words of scales of a row.
fn pairsOf(columns: u32) -> u32 {
  return (columns + 63u) / 64u;
}

/// One of the two scales of a word.
fn scaleIn(word: u32, upper: bool) -> f32 {
  let bits = select(word << 16u, word & 0xffff0000u, upper);
  return bitcast<f32>(bits);
}

/// Four integers of a word of q8. Bits that are shifted into the mantissas of numbers from 256 to 512 are exact. GPUs
/// convert integers at a fraction of the rate of such steps.
fn bytes(word: u32) -> vec4f {
  let biased = word ^ 0x80808080u;
  let shifted = vec4u(biased << 15u, biased << 7u, biased >> 1u, biased >> 9u);
  return bitcast<vec4f>((shifted & vec4u(0x007f8000u)) | vec4u(0x43800000u)) - vec4f(384.0);
}

/// Four integers of a word of q4, alike from numbers from 16 to 32.
fn nibbles(word: u32, upper: bool) -> vec4f {
  let biased = select(word << 4u, word, upper) ^ 0x80808080u;
  let shifted = vec4u(biased << 15u, biased << 7u, biased >> 1u, biased >> 9u);
  return bitcast<vec4f>((shifted & vec4u(0x00780000u)) | vec4u(0x41800000u)) - vec4f(24.0);
}

/// Four of eight consecutive values out of two vec4s, from the `shift`-th on: a shift by one, and one by two.
fn straddle(a: vec4f, b: vec4f, shift: u32) -> vec4f {
  let odd = shift % 2u == 1u;
  let first = select(a, vec4f(a.yzw, b.x), odd);
  let second = select(b.xy, b.yz, odd);
  return select(first, vec4f(first.zw, second), shift >= 2u);
}

/// Zero from `columns` on.
fn masked(value: vec4f, column: u32, columns: u32) -> vec4f {
  return select(vec4f(), value, vec4u(column) + vec4u(0u, 1u, 2u, 3u) < vec4u(columns));
}

/// Weights [row, column … column + 3]; column is a multiple of 4.
fn weight4(row: u32, column: u32) -> vec4f {
  if (FORMAT == 0u) {
    let i = row * args.inputs + column;
    if (ALIGNED) {
      return bitcast<vec4f>(weight[i >> 2u]);
    }
    let values = straddle(bitcast<vec4f>(weight[i >> 2u]), bitcast<vec4f>(weight[(i >> 2u) + 1u]), i & 3u);
    return masked(values, column, args.inputs);
  }
  let i = row * paddedInputs() + column;
  if (FORMAT == 4u) {
    let words = weight[i >> 5u];
    return nibbles(words[(i >> 2u) & 3u], (i & 16u) != 0u) * blockScale(row, column >> 5u);
  }
  if (FORMAT == 3u) {
    let words = weight[i >> 4u];
    return bytes(words[(i >> 2u) & 3u]) * blockScale(row, column >> 5u);
  }
  let words = weight[i >> 3u];
  let pair = select(words.xy, words.zw, (i & 4u) != 0u);
  if (FORMAT == 1u) {
    return float16s(pair);
  }
  return bfloat16s(pair);
}

/// The scale of a block of q8 or q4.
fn blockScale(row: u32, at: u32) -> f32 {
  return scaleIn(scales[row * pairsOf(args.inputs) + at / 2u], at % 2u == 1u);
}
