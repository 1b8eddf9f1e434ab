// link: math, cut
// One step of the convolution with SiLU, for many rows of a batch, whose in_proj is a product in tiles.
// decode-in-proj.wgsl does the same for few rows. An output a lane; the half that is z only passes. The parts into
// which the product's inputs were cut are added up here, in order; window and taps are loaded before, so that they are
// under way with the parts. The windows lie in the state, which moves on in place. Bytes an output: 4 · parts and
// 8 TAPS read, 4 TAPS written.

struct Args {
  rows: u32,
  dim: u32, // dInner
  parts: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [parts, rows, 2 dim]
@group(0) @binding(2) var<storage, read> constants: array<f32>; // taps [dim, TAPS], biases [dim], [2 dim]
@group(0) @binding(3) var<storage, read_write> state: array<f32>; // [rows, dim, TAPS - 1], newest last
@group(0) @binding(4) var<storage, read_write> uz: array<f32>; // u and z [rows, 2 dim]

alias Value = f32;

const TAPS: u32 = 4u; // constant
override BIAS: bool = false;
override CONV_BIAS: bool = true;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let size = args.rows * 2u * args.dim;
  if (i >= size) {
    return;
  }
  let output = i % (2u * args.dim);
  let convolves = output < args.dim;
  let window = (i / (2u * args.dim) * args.dim + output) * (TAPS - 1u);
  var past: array<f32, TAPS>;
  var taps: array<f32, TAPS>;
  if (convolves) {
    for (var k = 0u; k < TAPS; k++) { // unroll
      taps[k] = constants[output * TAPS + k];
      if (k < TAPS - 1u) {
        past[k] = state[window + k];
      }
    }
  }
  var value = sumOfParts(i, size, 0u, 1u);
  if (BIAS) {
    value += constants[args.dim * (TAPS + 1u) + output];
  }
  if (convolves) {
    past[TAPS - 1u] = value;
    var conv = select(0.0, constants[args.dim * TAPS + output], CONV_BIAS);
    for (var k = 0u; k < TAPS; k++) { // unroll
      conv += taps[k] * past[k];
      if (k > 0u) {
        state[window + k - 1u] = past[k];
      }
    }
    value = silu(conv);
  }
  uz[i] = value;
}
