// link: reduce, rms
// The gradient of x of rmsNorm, and with CENTERED of layerNorm; core's operations have the equations. A workgroup takes
// a row, reads it two to four times, all but the first from cache, and leaves its moments, from which column-sum.wgsl
// makes the gradient of the weight. Bytes an element: 8 read, 4 written. Operations: some 15.

struct Args {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, channels]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [channels]
@group(0) @binding(3) var<storage, read> dy: array<f32>; // [rows, channels]
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // [rows, channels]
/// A float near the mean, the mean's distance from it, and the two factors that make 1 / root, as `normFactors` has
/// them: n = ((x - center) - rest) · factors.
@group(0) @binding(5) var<storage, read_write> moments: array<vec4f>; // [rows]

override WORKGROUP: u32 = 128u;
override WEIGHT: bool = true;
override CENTERED: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.rows) {
    return;
  }
  let base = row * args.channels;
  let count = f32(args.channels);
  var moment = vec4f();
  if (CENTERED) {
    moment = centered(base, index);
  } else {
    var squares = 0.0;
    for (var c = index; c < args.channels; c += WORKGROUP) {
      squares += x[base + c] * x[base + c];
    }
    moment = vec4f(0.0, 0.0, normFactors(groupSum(squares, index), base, args.channels, args.eps));
  }
  var total = 0.0; // Σ dn
  var along = 0.0; // Σ dn n
  for (var c = index; c < args.channels; c += WORKGROUP) {
    let cotangent = weighted(base, c);
    total += cotangent;
    along += cotangent * normed(base + c, moment);
  }
  let meanAlong = groupSum(along, index) / count;
  var mean = 0.0;
  if (CENTERED) {
    mean = groupSum(total, index) / count;
  }
  for (var c = index; c < args.channels; c += WORKGROUP) {
    let gradient = weighted(base, c) - mean - normed(base + c, moment) * meanAlong;
    dx[base + c] = gradient * moment.z * moment.w;
  }
  if (index == 0u) {
    moments[row] = moment;
  }
}

/// The moments of a row whose mean is subtracted. Differences are taken from a float near the mean, the first element
/// plus the mean of the differences from it, so they keep their digits where the mean is far larger than they are.
fn centered(base: u32, index: u32) -> vec4f {
  let count = f32(args.channels);
  let first = x[base];
  var sum = 0.0;
  for (var c = index; c < args.channels; c += WORKGROUP) {
    sum += x[base + c] - first;
  }
  let center = first + groupSum(sum, index) / count;
  var differences = 0.0;
  var squares = 0.0;
  for (var c = index; c < args.channels; c += WORKGROUP) {
    let difference = x[base + c] - center;
    differences += difference;
    squares += difference * difference;
  }
  let rest = groupSum(differences, index) / count;
  let variance = abs(groupSum(squares, index) / count - rest * rest);
  return vec4f(center, rest, 1.0, inverseSqrt(variance + args.eps));
}

/// The cotangent of the normalised element.
fn weighted(base: u32, c: u32) -> f32 {
  if (WEIGHT) {
    return dy[base + c] * weight[c];
  }
  return dy[base + c];
}

fn normed(i: u32, moment: vec4f) -> f32 {
  return ((x[i] - moment.x) - moment.y) * moment.z * moment.w;
}

fn element(i: u32) -> f32 {
  return x[i];
}
