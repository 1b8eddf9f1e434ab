// link: math, conv-{floats,halves}
// Depthwise causal convolution with an optional SiLU. A lane computes OUTPUTS consecutive steps of CHANNELS channels;
// neighbouring lanes have neighbouring channels. All of its inputs are on their way at once, before anything waits for
// one of them. There is no workgroup memory. Bytes an element: 4 (OUTPUTS + TAPS - 1) / OUTPUTS read, 4 written, half
// of both in halves. Operations: 2 TAPS, and 1 exp and 1 division for the SiLU.

struct Args {
  batch: u32,
  length: u32,
  dim: u32,
  xRow: u32,
  xOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [dim, TAPS]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [dim]
@group(0) @binding(4) var<storage, read> initial: array<f32>; // [batch, dim, TAPS - 1], newest last
@group(0) @binding(5) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(7) var<storage, read_write> last: array<f32>; // [batch, dim, TAPS - 1], newest last

const TAPS: u32 = 4u; // constant
const WINDOW: u32 = 11u; // constant: OUTPUTS + TAPS - 1, the inputs of a lane
const OUTPUTS = 8u;
override SILU: bool = true;
override BIAS: bool = true;
override INITIAL: bool = false;
override RESETS: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let channel = CHANNELS * (tile_id.x * 64u + index);
  if (channel >= args.dim) {
    return;
  }
  let second = channel + CHANNELS - 1u;
  var taps: array<Values, TAPS>;
  for (var k = 0u; k < TAPS; k++) {
    taps[k] = gathered(weight[channel * TAPS + k], weight[second * TAPS + k]);
  }
  var offset = ZERO;
  if (BIAS) {
    offset = gathered(bias[channel], bias[second]);
  }
  // There is one turn where the grid is as long as the sequence. A longer sequence is covered in strides.
  let tiles = (args.length + OUTPUTS - 1u) / OUTPUTS;
  let turns = (tiles + tiles_count.y - 1u) / tiles_count.y;
  for (var turn = 0u; turn < turns; turn++) {
    let tile = turn * tiles_count.y + tile_id.y;
    if (tile < tiles) {
      convolve(tile_id.z, channel, tile * OUTPUTS, taps, offset);
    }
  }
}

/// Computes OUTPUTS outputs of a lane's channels from step `first`, or as many as are left. Its inputs begin TAPS - 1
/// steps before.
fn convolve(batch: u32, channel: u32, first: u32, taps: array<Values, TAPS>, offset: Values) {
  var window: array<Values, WINDOW>;
  for (var i = 0u; i < WINDOW; i++) { // unroll
    // Steps before the sequence and behind it are read from its ends, and not used.
    let step = min(max(first + i, TAPS - 1u) - (TAPS - 1u), args.length - 1u);
    window[i] = inputs(args.xOffset + (batch * args.length + step) * args.xRow + channel);
  }
  if (first < TAPS - 1u) {
    for (var i = 0u; i < WINDOW; i++) { // unroll
      if (first + i < TAPS - 1u) {
        window[i] = initialAt(batch, channel, first + i);
      }
    }
  }
  var begin = 0u; // of the inputs that count, in the window
  for (var i = 0u; i < WINDOW; i++) { // unroll
    let ahead = first + i;
    if (ahead >= TAPS - 1u && ahead < args.length + TAPS - 1u) {
      let row = batch * args.length + ahead - (TAPS - 1u);
      if (RESETS && resets[row] != 0u) {
        begin = i;
      }
      if (i >= TAPS - 1u) {
        let oldest = i - (TAPS - 1u);
        var sum = offset;
        for (var k = 0u; k < TAPS; k++) {
          sum += taps[k] * select(ZERO, window[oldest + k], oldest + k >= begin);
        }
        if (SILU) {
          sum = gathered(silu(channelOf(sum, 0u)), silu(channelOf(sum, CHANNELS - 1u)));
        }
        writeOutputs(row * args.dim + channel, sum);
        if (ahead == args.length + TAPS - 2u) {
          for (var k = 0u; k < TAPS - 1u; k++) {
            let kept = select(ZERO, window[oldest + 1u + k], oldest + 1u + k >= begin);
            for (var c = 0u; c < CHANNELS; c++) {
              last[(batch * args.dim + channel + c) * (TAPS - 1u) + k] = channelOf(kept, c);
            }
          }
        }
      }
    }
  }
}

/// The state before the sequence, at a place from its oldest on.
fn initialAt(batch: u32, channel: u32, place: u32) -> Values {
  if (!INITIAL) {
    return ZERO;
  }
  let at = (batch * args.dim + channel) * (TAPS - 1u) + place;
  return gathered(initial[at], initial[at + (CHANNELS - 1u) * (TAPS - 1u)]);
}
