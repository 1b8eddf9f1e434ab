// link: math, weights, x-stored, inputs, dot-row, quads-{stored,staged}, rms, lane-sum-{workgroup,subgroup}
// The first of a layer's decode dispatches: RMS norm, in_proj, and for the half that is u one step of the convolution
// with SiLU. Without NORM, x is normed already. It works as linear-vector.wgsl, but the lanes of an output also run the
// convolution: the channel's window lies in the state, which moves on in place. With PROJECT a workgroup also
// multiplies its channels of u by x_proj, and writes their part of each of x_proj's outputs behind u and z;
// decode-scan.wgsl sums the parts of all workgroups. That saves x_proj a dispatch, which would wait for this one.
// Bytes: the matrix once, 8 TAPS a channel of taps and window; with PROJECT x_proj once, and 4 a workgroup and output
// of it.

struct Args {
  inputs: u32, // dModel
  outputs: u32, // rows of this part of the matrix
  firstOutput: u32,
  dim: u32, // dInner
  eps: f32,
  projected: u32, // outputs of x_proj, and the stride of their parts: rounded up to a multiple of 4
  row: u32,
  parts: u32, // where the parts begin in `y`
  projectScales: u32, // in words
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // residual [batch, dModel]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // [2 dim, dModel] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> norm: array<vec4f>; // [dModel]
@group(0) @binding(5) var<storage, read> constants: array<f32>; // taps [dim, TAPS], biases [dim], [2 dim]
@group(0) @binding(6) var<storage, read_write> state: array<f32>; // [batch, dim, TAPS - 1], newest last
// u and z [batch, 2 dim]; from args.parts on [batch, dim / CHANNELS, row]
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
// [projected, dim] in PROJECT_FORMAT, and the scales of q8 and q4 from args.projectScales on
@group(0) @binding(8) var<storage, read> xProj: array<vec4u>;

const TAPS: u32 = 4u; // constant
override WORKGROUP: u32 = 64u;
override LANES: u32 = 32u;
override NORM: bool = true;
override SQUARES: bool = true; // as NORM
override BIAS: bool = false;
override CONV_BIAS: bool = true;
override PROJECT: bool = false;
override PROJECT_FORMAT: u32 = 0u; // as FORMAT
/// WORKGROUP / LANES; with PROJECT a multiple of 8 that divides dim, and 16 where x_proj is q8 or q4.
const CHANNELS: u32 = 8u; // constant
const SHARE: u32 = 2u; // constant: vec4us of a workgroup's part of a row of x_proj
const OUTPUTS: u32 = 2u; // constant: of x_proj, a lane

var<workgroup> us: array<f32, CHANNELS>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tile_id.y * tiles_count.x + tile_id.x;
  let local = tile * CHANNELS + index / LANES;
  let batch = tile_id.z;
  let row = min(local, args.outputs - 1u);
  let output = args.firstOutput + row;
  // State and taps are loaded before the product, so that they are under way with the weights. The half that is z
  // repeats the last channel of u.
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
  let projects = PROJECT && tile * CHANNELS < args.dim;
  var shares: array<vec4u, SHARE * OUTPUTS>;
  var shareScales: array<f32, OUTPUTS>;
  if (projects) {
    for (var r = 0u; r < OUTPUTS; r++) { // unroll
      let row = min(index + r * WORKGROUP, args.projected - 1u);
      let at = shareOf(row, tile);
      shareScales[r] = shareScale(row, tile);
      for (var k = 0u; k < SHARE; k++) { // unroll
        shares[r * SHARE + k] = xProj[at + k];
      }
    }
  }
  let sum = laneSum(rowSums(row, batch * args.inputs, index % LANES, index)[0], index);
  let holds = index % LANES == 0u && local < args.outputs;
  var value = sum.x;
  if (NORM) {
    let factors = normFactors(sum.y, batch * args.inputs, args.inputs, args.eps);
    value = value * factors.x * factors.y;
  }
  if (BIAS) {
    value += constants[args.dim * (TAPS + 1u) + output];
  }
  if (output < args.dim) {
    past[TAPS - 1u] = value;
    var conv = convBias;
    for (var k = 0u; k < TAPS; k++) {
      conv += taps[k] * past[k];
      if (k > 0u && holds) {
        state[window + k - 1u] = past[k];
      }
    }
    value = silu(conv);
  }
  if (holds) {
    y[batch * 2u * args.dim + output] = value;
  }
  if (projects) {
    if (index % LANES == 0u) {
      us[index / LANES] = value;
    }
    workgroupBarrier();
    let base = args.parts + (batch * (args.dim / CHANNELS) + tile) * args.row;
    for (var r = 0u; r < OUTPUTS; r++) { // unroll
      var part = 0.0;
      for (var k = 0u; k < SHARE; k++) { // unroll
        part += shareDot(k, shares[r * SHARE + k], tile);
      }
      if (index + r * WORKGROUP < args.projected) {
        y[base + index + r * WORKGROUP] = part * shareScales[r];
      }
    }
  }
}

/// The place where this workgroup's channels of a row of x_proj begin. The sixteen of q4 lie in the low or in the high
/// nibbles of a block.
fn shareOf(row: u32, tile: u32) -> u32 {
  let column = tile * CHANNELS;
  if (PROJECT_FORMAT == 0u) {
    return (row * args.dim + column) / 4u;
  }
  let begin = row * padded(args.dim) + column;
  if (PROJECT_FORMAT == 4u) {
    return begin / 32u;
  }
  return begin / select(8u, 16u, PROJECT_FORMAT == 3u);
}

/// The scale of this workgroup's channels of a row of x_proj: 1 for floats and halves.
fn shareScale(row: u32, tile: u32) -> f32 {
  if (PROJECT_FORMAT < 3u) {
    return 1.0;
  }
  let column = tile * CHANNELS;
  let i = args.projectScales + row * pairsOf(args.dim) + column / 64u;
  return scaleIn(xProj[i / 4u][i % 4u], column / 32u % 2u == 1u);
}

/// The part of the sum that the k-th vec4u of a row adds, before its scale.
fn shareDot(k: u32, words: vec4u, tile: u32) -> f32 {
  if (PROJECT_FORMAT >= 3u) {
    let upper = tile * CHANNELS / 16u % 2u == 1u;
    var sum = 0.0;
    for (var c = 0u; c < 4u; c++) { // unroll
      let values = select(bytes(words[c]), nibbles(words[c], upper), PROJECT_FORMAT == 4u);
      sum += dot(us4(4u * c), values);
    }
    return sum;
  }
  if (PROJECT_FORMAT == 0u) {
    return dot(us4(4u * k), bitcast<vec4f>(words));
  }
  if (PROJECT_FORMAT == 1u) {
    return dot(us4(8u * k), float16s(words.xy)) + dot(us4(8u * k + 4u), float16s(words.zw));
  }
  return dot(us4(8u * k), bfloat16s(words.xy)) + dot(us4(8u * k + 4u), bfloat16s(words.zw));
}

fn us4(i: u32) -> vec4f {
  return vec4f(us[i], us[i + 1u], us[i + 2u], us[i + 3u]);
}

fn element(i: u32) -> f32 {
  return x4(i >> 2u)[i & 3u];
}
