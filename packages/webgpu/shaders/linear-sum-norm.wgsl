// link: cut, reduce, rms, row-quads, moments
// Adds up the parts of a product whose inputs are cut, onto the residual, as linear-sum.wgsl does, and writes the row
// after the norm that the next product applies: an RMS norm as rms-norm.wgsl has it, or the norms of layer-norm.wgsl. A
// workgroup takes a row and keeps its sums in registers. Bytes an element: 4 · parts + 4 read, 8 written.

struct Args {
  rows: u32,
  quads: u32, // vec4s of a row
  parts: u32,
  eps: f32,
  norms: u32, // LayerNorms of the row
  normedNorm: u32, // vec4s from one norm's rows to the next
  zero: u32, // keeps differences from being merged
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [parts, rows, quads]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [quads]
@group(0) @binding(3) var<storage, read> weight: array<vec4f>; // [norms, quads]
@group(0) @binding(4) var<storage, read> normBias: array<vec4f>; // [norms, quads], of LayerNorm
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // the residual [rows, quads]
@group(0) @binding(6) var<storage, read_write> normed: array<vec4f>; // [norms, rows, quads]

alias Value = vec4f;

override WORKGROUP: u32 = 256u;
override BIAS: bool = false;
/// LayerNorm in place of RMS.
override LAYER: bool = false;
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
  // The first element is read by every lane, and the whole row where the squares overflow.
  storageBarrier();
  if (LAYER) {
    let moments = momentsOf(base, args.quads, args.eps, args.zero, index);
    for (var e = 0u; e < EACH; e++) { // unroll
      let c = e * WORKGROUP + index;
      if (c < args.quads) {
        let value = standardised(sums[e], moments, args.zero);
        for (var n = 0u; n < args.norms; n++) {
          let at = n * args.quads + c;
          normed[n * args.normedNorm + base + c] = value * weight[at] + normBias[at];
        }
      }
    }
    return;
  }
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

fn pieceAt(i: u32) -> vec4f {
  return y[i];
}

/// The sum over the workgroup tells the compiler that it is the same for all lanes.
fn firstAt(base: u32, index: u32) -> f32 {
  return groupSum(select(0.0, y[base].x, index == 0u), index);
}
