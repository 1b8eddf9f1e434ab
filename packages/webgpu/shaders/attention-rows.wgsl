// What the gradients of attention need of each row: logSumExp in powers of two, and Δ = dy · y - dLogSumExp. A lane
// takes a row. The sum has the order of attention-backward.wgsl, so that dy · v - Δ is 0 where y is v, as it is where
// one key is seen. Bytes a channel: 8.
// link: row-heads-{quads,singles}, dot-onto

struct Args {
  total: u32, // rows of all heads
  headDim: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<Channels>; // [total, headDim]
@group(0) @binding(2) var<storage, read> y: array<Channels>; // [total, headDim]
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [total]
@group(0) @binding(4) var<storage, read> dLogSumExp: array<f32>; // [total]
@group(0) @binding(5) var<storage, read_write> rows: array<vec2f>; // [total]

const QUADS: u32 = 16u; // constant
/// Whether logSumExp has a cotangent.
override COTANGENT: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  if (row >= args.total) {
    return;
  }
  var delta = 0.0;
  for (var quad = 0u; quad < QUADS; quad++) {
    delta = dotOnto(dy4(row, quad), y4(row, quad), delta);
  }
  if (COTANGENT) {
    delta -= dLogSumExp[row];
  }
  rows[row] = vec2f(logSumExp[row] * 1.4426950408889634, delta);
}
