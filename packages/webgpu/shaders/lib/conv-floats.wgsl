// Input and output of causal-conv1d.wgsl in floats: a lane has one channel.

@group(0) @binding(1) var<storage, read> x: array<f32>; // [batch · length, xRow]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [batch, length, dim]

/// Channels of a lane, side by side, and a value of each.
const CHANNELS = 1u;
alias Values = f32;
const ZERO = 0.0f;

fn inputs(at: u32) -> Values {
  return x[at];
}

fn writeOutputs(at: u32, values: Values) {
  y[at] = values;
}

fn gathered(first: f32, second: f32) -> Values {
  return first;
}

fn channelOf(values: Values, channel: u32) -> f32 {
  return values;
}
