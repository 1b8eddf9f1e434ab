// link: cut, reduce, rms
// Adds up the parts of a product whose inputs are cut, onto the residual, as linear-sum.wgsl does, and writes the row's
// RMS norm, which the next product reads, as rms-norm.wgsl does. A workgroup takes a row and keeps its sums in
// registers. Bytes an element: 4 · parts + 4 read, 8 written.

struct Args {
  rows: u32,
  quads: u32, // vec4s of a row
  parts: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [parts, rows, quads]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [quads]
@group(0) @binding(3) var<storage, read> weight: array<vec4f>; // [quads]
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // the residual [rows, quads]
@group(0) @binding(5) var<storage, read_write> normed: array<vec4f>; // [rows, quads]

alias Value = vec4f;

override WORKGROUP: u32 = 256u;
override BIAS: bool = false;
const EACH: u32 = 1u; // constant: vec4s of a row for each lane

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
  let base = row * args.quads;
  var sums: array<vec4f, EACH>;
  var squares = 0.0;
  for (var e = 0u; e < EACH; e++) { // unroll
    let c = e * WORKGROUP + index;
    if (c < args.quads) {
      let before = y[base + c];
      var sum = sumOfParts(base + c, args.rows * args.quads, 0u, 1u);
      if (BIAS) {
        sum += bias[c];
      }
      sums[e] = sum + before;
      y[base + c] = sums[e];
      squares += dot(sums[e], sums[e]);
    }
  }
  // Where the squares overflow, every lane reads the whole row again.
  storageBarrier();
  let factors = normFactors(groupSum(squares, index), 4u * base, 4u * args.quads, args.eps);
  for (var e = 0u; e < EACH; e++) { // unroll
    let c = e * WORKGROUP + index;
    if (c < args.quads) {
      normed[base + c] = sums[e] * factors.x * factors.y * weight[c];
    }
  }
}

fn element(i: u32) -> f32 {
  return y[i >> 2u][i & 3u];
}
