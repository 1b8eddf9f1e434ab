// link: math, stored-{floats,halves}
// Depthwise causal convolution with an optional SiLU. A lane computes OUTPUTS consecutive steps of one channel with a
// window of TAPS inputs in registers; neighbouring lanes have neighbouring channels. There is no workgroup memory.
// Bytes an element: 4 (OUTPUTS + TAPS - 1) / OUTPUTS read, 4 written, half of both in halves. Operations: 2 TAPS, and 1 exp and 1 division for
// the SiLU.

struct Args {
  batch: u32,
  length: u32,
  dim: u32,
  xRow: u32,
  xOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [batch · length, xRow]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [dim, TAPS]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [dim]
@group(0) @binding(4) var<storage, read> initial: array<f32>; // [batch, dim, TAPS - 1], newest last
@group(0) @binding(5) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(6) var<storage, read_write> y: array<Stored>; // [batch, length, dim]
@group(0) @binding(7) var<storage, read_write> last: array<f32>; // [batch, dim, TAPS - 1], newest last

const TAPS: u32 = 4u; // constant
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
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  var taps: array<f32, TAPS>;
  for (var k = 0u; k < TAPS; k++) {
    taps[k] = weight[channel * TAPS + k];
  }
  let offset = select(0.0, bias[channel], BIAS);
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

/// Computes OUTPUTS outputs of one channel from step `first`, or as many as are left.
fn convolve(batch: u32, channel: u32, first: u32, taps: array<f32, TAPS>, offset: f32) {
  var window = array<f32, TAPS>();
  // Steps begin at first - (TAPS - 1). Those before the first output only fill the window.
  for (var i = 0u; i < TAPS - 1u + OUTPUTS; i++) {
    let ahead = first + i;
    if (ahead < args.length + TAPS - 1u) {
      for (var k = 0u; k < TAPS - 1u; k++) {
        window[k] = window[k + 1u];
      }
      if (ahead < TAPS - 1u) {
        window[TAPS - 1u] = select(0.0, initial[(batch * args.dim + channel) * (TAPS - 1u) + ahead], INITIAL);
      } else {
        let row = batch * args.length + ahead - (TAPS - 1u);
        if (RESETS && resets[row] != 0u) {
          for (var k = 0u; k < TAPS - 1u; k++) {
            window[k] = 0.0;
          }
        }
        window[TAPS - 1u] = f32(x[args.xOffset + row * args.xRow + channel]);
      }
      if (i >= TAPS - 1u) {
        var sum = offset;
        for (var k = 0u; k < TAPS; k++) {
          sum += taps[k] * window[k];
        }
        if (SILU) {
          sum = silu(sum);
        }
        y[(batch * args.length + ahead - (TAPS - 1u)) * args.dim + channel] = Stored(sum);
      }
      if (ahead == args.length + TAPS - 2u) {
        for (var k = 0u; k < TAPS - 1u; k++) {
          last[(batch * args.dim + channel) * (TAPS - 1u) + k] = window[k + 1u];
        }
      }
    }
  }
}
