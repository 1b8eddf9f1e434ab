// link: reduce, rms, math, slopes
// The gradients of x and z of Mamba-2's gated RMS norm; core's operation has the equations. A workgroup takes a group
// of a row, reads it three times, all but the first from cache, and leaves in `scaled` what dweight sums over rows:
// dy n, or dy n silu(z). Bytes an element: 12 read, 12 written.

struct Args {
  rows: u32,
  channels: u32,
  groupSize: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, channels]
@group(0) @binding(2) var<storage, read> z: array<f32>; // [rows, channels]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [channels]
@group(0) @binding(4) var<storage, read> dy: array<f32>; // [rows, channels]
@group(0) @binding(5) var<storage, read_write> dx: array<f32>; // [rows, channels]
@group(0) @binding(6) var<storage, read_write> dz: array<f32>; // [rows, channels]
@group(0) @binding(7) var<storage, read_write> scaled: array<f32>; // [rows, channels]

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
  var along = 0.0;
  for (var c = index; c < args.groupSize; c += WORKGROUP) {
    let i = base + c;
    let n = element(i) * factors.x * factors.y;
    var cotangent = dy[i];
    if (GATE && NORM_FIRST) {
      cotangent *= silu(z[i]);
    }
    if (WEIGHT) {
      scaled[i] = cotangent * n;
      cotangent *= weight[i % args.channels];
    }
    along += cotangent * n;
  }
  let mean = groupSum(along, index) / f32(args.groupSize);
  for (var c = index; c < args.groupSize; c += WORKGROUP) {
    let i = base + c;
    let n = element(i) * factors.x * factors.y;
    var cotangent = dy[i];
    if (WEIGHT) {
      cotangent *= weight[i % args.channels];
    }
    if (GATE && NORM_FIRST) {
      let gate = siluAndSlope(z[i]);
      dz[i] = cotangent * n * gate.y;
      cotangent *= gate.x;
    }
    var gradient = (cotangent - n * mean) * factors.x * factors.y;
    if (GATE && !NORM_FIRST) {
      let gate = siluAndSlope(z[i]);
      dz[i] = gradient * x[i] * gate.y;
      gradient *= gate.x;
    }
    dx[i] = gradient;
  }
}

/// What is normalised.
fn element(i: u32) -> f32 {
  if (GATE && !NORM_FIRST) {
    return x[i] * silu(z[i]);
  }
  return x[i];
}
