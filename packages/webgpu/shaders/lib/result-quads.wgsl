// The result of linear-matrix.wgsl in floats, where all rows are whole vec4s.

@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [splits, rows, yRow / 4]

fn writtenFour(at: u32, count: u32) -> vec4f {
  return y[at >> 2u];
}

fn writeFour(at: u32, values: vec4f, count: u32) {
  y[at >> 2u] = values;
}
