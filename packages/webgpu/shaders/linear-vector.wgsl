// link: weights, inputs, dot-row, quads-{stored,staged}, rms, lane-sum-{workgroup,subgroup}, x-{stored,centered}
// link: activation
// y = f(x weightᵀ + bias) for few rows of x, as decoding has, where reading the weights takes the time. LANES lanes
// share an output, with 16 bytes a load, and add up by shuffles or in workgroup memory. TOGETHER outputs at once share
// the loads of x, which matters for q8 and q4, whose weights take a byte or less where x takes four. With NORM, x is
// RMS-normalised on the way: Σ x² comes from the same loads. x-centered.wgsl has a LayerNorm. Bytes an output: inputs
// times bytes a weight (x and the norm stay in cache). Operations: 2 · inputs.

struct Args {
  inputs: u32,
  outputs: u32, // rows of this part of the matrix
  xRow: u32,
  xOffset: u32,
  yRow: u32,
  yOffset: u32,
  eps: f32,
  biasAt: u32, // of a LayerNorm's biases in norm
  zero: u32, // keeps differences from being merged
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // [outputs, inputs] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<u32>; // of the blocks of q8 and q4
@group(0) @binding(4) var<storage, read> bias: array<f32>; // [all outputs]
@group(0) @binding(5) var<storage, read> norm: array<vec4f>; // [inputs]; of a LayerNorm biases as well
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [rows, yRow]

override WORKGROUP: u32 = 64u;
override LANES: u32 = 32u;
override BIAS: bool = false;
override NORM: bool = false;
override SQUARES: bool = false; // as NORM
/// Adds to y rather than writing it: the residual.
override ACCUMULATE: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let first = ((tile_id.y * tiles_count.x + tile_id.x) * (WORKGROUP / LANES) + index / LANES) * TOGETHER;
  let lane = index % LANES;
  let row = tile_id.z;
  // Lanes past the last output repeat it, so that barriers and shuffles stay uniform.
  let base = args.xOffset + row * args.xRow;
  prepareX(base, index);
  let parts = rowSums(min(first, args.outputs - 1u), base, lane, index);
  for (var r = 0u; r < TOGETHER; r++) { // unroll
    let sum = laneSum(parts[r], index);
    let output = first + r;
    if (lane == 0u && output < args.outputs) {
      var value = sum.x;
      if (NORM) {
        let factors = normFactors(sum.y, base, args.inputs, args.eps);
        value = value * factors.x * factors.y;
      }
      if (BIAS) {
        value += bias[args.yOffset + output];
      }
      if (ACTIVATION != 0u) {
        value = activated(value);
      }
      let at = row * args.yRow + args.yOffset + output;
      if (ACCUMULATE) {
        value += y[at];
      }
      y[at] = value;
    }
  }
}

fn element(i: u32) -> f32 {
  return x4(i >> 2u)[i & 3u];
}
