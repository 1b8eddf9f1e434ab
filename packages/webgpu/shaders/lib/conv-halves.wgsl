// Input and output of causal-conv1d.wgsl in halves: a lane has two channels, so that it loads and writes whole words.
// The strides are even.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [batch · length, xRow / 2]
@group(0) @binding(6) var<storage, read_write> y: array<u32>; // [batch, length, dim / 2]

/// Channels of a lane, side by side, and a value of each.
const CHANNELS = 2u;
alias Values = vec2f;
const ZERO = vec2f();

fn inputs(at: u32) -> Values {
  return unpack2x16float(x[at >> 1u]);
}

fn writeOutputs(at: u32, values: Values) {
  y[at >> 1u] = pack2x16float(values);
}

fn gathered(first: f32, second: f32) -> Values {
  return vec2f(first, second);
}

fn channelOf(values: Values, channel: u32) -> f32 {
  return values[channel];
}
