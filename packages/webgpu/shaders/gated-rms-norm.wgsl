// link: reduce, rms, math
// Mamba-2's gated RMS norm over groups of channels: y = rms(x silu(z)) weight, or y = rms(x) weight silu(z). A
// workgroup takes a group of a row and reads it twice, the second time from cache. Bytes an element: 8 read, 4 written.

struct Args {
  rows: u32,
  channels: u32,
  groupSize: u32,
  zRow: u32, // elements from one row of z to the next
  zOffset: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, channels]
@group(0) @binding(2) var<storage, read> z: array<f32>; // [rows, zRow]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [channels]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [rows, channels]

override WORKGROUP: u32 = 128u;
override WEIGHT: bool = true;
override GATE: bool = true;
override NORM_FIRST: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let group = tile_id.y * tiles_count.x + tile_id.x;
  let groups = args.channels / args.groupSize;
  if (group >= args.rows * groups) {
    return;
  }
  let base = group * args.groupSize;
  var squares = 0.0;
  for (var c = index; c < args.groupSize; c += WORKGROUP) {
    let value = element(base + c);
    squares += value * value;
  }
  let factors = normFactors(groupSum(squares, index), base, args.groupSize, args.eps);
  for (var c = index; c < args.groupSize; c += WORKGROUP) {
    var value = element(base + c) * factors.x * factors.y;
    if (WEIGHT) {
      value *= weight[(base + c) % args.channels];
    }
    if (GATE && NORM_FIRST) {
      value *= gate(base + c);
    }
    y[base + c] = value;
  }
}

/// What is normalised.
fn element(i: u32) -> f32 {
  if (GATE && !NORM_FIRST) {
    return x[i] * gate(i);
  }
  return x[i];
}

fn gate(i: u32) -> f32 {
  return silu(z[args.zOffset + i / args.channels * args.zRow + i % args.channels]);
}
