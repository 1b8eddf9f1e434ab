// link: math, weights, inputs, dot-row, lane-sum-{workgroup,subgroup}
// First of a layer's four decode dispatches: RMS norm, in_proj, and for the half that is u one step of the convolution with SiLU.
// As linear-vector.wgsl, but the lane that holds an output finishes it: its channel's window lies in the state, which moves on in place.
// Bytes: the matrix once, 8 TAPS a channel of taps and window.

struct Args {
  inputs: u32, // dModel
  outputs: u32, // rows of this part of the matrix
  firstOutput: u32,
  dim: u32, // dInner
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // residual [batch, dModel]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // [2 dim, dModel] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read> norm: array<vec4f>; // [dModel]
@group(0) @binding(5) var<storage, read> constants: array<f32>; // taps [dim, TAPS], conv bias [dim], in_proj bias [2 dim]
@group(0) @binding(6) var<storage, read_write> state: array<f32>; // [batch, dim, TAPS - 1], newest last
@group(0) @binding(7) var<storage, read_write> y: array<f32>; // [batch, 2 dim]: u, z

const TAPS: u32 = 4u; // constant
override WORKGROUP: u32 = 64u;
override LANES: u32 = 32u;
override NORM: bool = true;
override SQUARES: bool = true;
override BIAS: bool = false;
override CONV_BIAS: bool = true;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(num_workgroups) tiles_count: vec3u, @builtin(local_invocation_index) index: u32) {
  let local = (tile_id.y * tiles_count.x + tile_id.x) * (WORKGROUP / LANES) + index / LANES;
  let batch = tile_id.z;
  let row = min(local, args.outputs - 1u);
  let output = args.firstOutput + row;
  // Loaded before the product, so that they are under way with the weights; the half that is z repeats the last channel of u.
  let channel = min(output, args.dim - 1u);
  let window = (batch * args.dim + channel) * (TAPS - 1u);
  var taps: array<f32, TAPS>;
  var past: array<f32, TAPS>;
  for (var k = 0u; k < TAPS - 1u; k++) {
    past[k] = state[window + k];
  }
  for (var k = 0u; k < TAPS; k++) {
    taps[k] = constants[channel * TAPS + k];
  }
  let convBias = select(0.0, constants[args.dim * TAPS + channel], CONV_BIAS);
  let sum = laneSum(dotRow(row, batch * args.inputs, index % LANES), index);
  if (index % LANES != 0u || local >= args.outputs) {
    return;
  }
  var value = sum.x * inverseSqrt(sum.y / f32(args.inputs) + args.eps);
  if (BIAS) {
    value += constants[args.dim * (TAPS + 1u) + output];
  }
  if (output < args.dim) {
    past[TAPS - 1u] = value;
    var conv = convBias;
    for (var k = 0u; k < TAPS; k++) {
      conv += taps[k] * past[k];
      if (k > 0u) {
        state[window + k - 1u] = past[k];
      }
    }
    value = silu(conv);
  }
  y[batch * 2u * args.dim + output] = value;
}
