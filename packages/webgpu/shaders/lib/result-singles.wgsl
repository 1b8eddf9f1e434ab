// The result of linear-matrix.wgsl in floats, where rows begin anywhere.

// [splits, rows, yRow]: where the inputs are cut, each part writes a y of its own, for linear-sum.wgsl.
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

/// Four outputs from `at` on that are there already, or the first `count` of them.
fn writtenFour(at: u32, count: u32) -> vec4f {
  var values: vec4f;
  for (var i = 0u; i < min(count, 4u); i++) {
    values[i] = y[at + i];
  }
  return values;
}

/// Writes four outputs, or the first `count` of them.
fn writeFour(at: u32, values: vec4f, count: u32) {
  for (var i = 0u; i < min(count, 4u); i++) {
    y[at + i] = values[i];
  }
}
