// Weights of any stored format, four at a time. Expects bindings `weight: array<vec4u>` and `scales: array<f32>`, and
// in `args` `inputs` (columns). float32 rows are contiguous; all others are padded with zeros to whole blocks of 32
// columns.
override FORMAT: u32 = 0u; // 0 float32, 1 float16, 2 bfloat16, 3 q8: blocks of 32 with one scale
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

/// Four of eight consecutive values out of two vec4s.
fn straddle(a: vec4f, b: vec4f, shift: u32) -> vec4f {
  switch (shift) {
    case 0u: { return a; }
    case 1u: { return vec4f(a.yzw, b.x); }
    case 2u: { return vec4f(a.zw, b.xy); }
    default: { return vec4f(a.w, b.xyz); }
  }
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
  if (FORMAT == 3u) {
    let words = weight[i >> 4u];
    return vec4f(unpack4xI8(words[(i >> 2u) & 3u])) * scales[i >> 5u];
  }
  let words = weight[i >> 3u];
  let pair = select(words.xy, words.zw, (i & 4u) != 0u);
  if (FORMAT == 1u) {
    return float16s(pair);
  }
  return bfloat16s(pair);
}
