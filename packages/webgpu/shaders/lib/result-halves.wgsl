// The result of linear-matrix.wgsl in halves, four of which are two words; all rows are whole fours.

@group(0) @binding(5) var<storage, read_write> y: array<vec2u>; // [rows, yRow / 4]

fn writtenFour(at: u32, count: u32) -> vec4f {
  let words = y[at >> 2u];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn writeFour(at: u32, values: vec4f, count: u32) {
  y[at >> 2u] = vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
}
