// link: rotation
// Rotary positions: a lane turns a pair of channels of a head, or copies a channel behind those that turn. Bytes a
// channel: 8.

struct Args {
  tokens: u32,
  length: u32,
  heads: u32,
  headDim: u32,
  pairs: u32,
  lanes: u32, // of a head: pairs, and channels that stay
  interleaved: u32,
  offset: i32,
  sign: f32, // 1, or -1 to turn back
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [tokens, heads, headDim]
@group(0) @binding(2) var<storage, read> positions: array<i32>; // [tokens]
@group(0) @binding(3) var<storage, read> turns: array<vec2u>; // [pairs]: a position's turns in parts of 2^64, high, low
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [tokens, heads, headDim]

/// Whether positions are given. Otherwise they count from `offset` in each row.
override PLACED: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let head = i / args.lanes;
  let token = head / args.heads;
  if (token >= args.tokens) {
    return;
  }
  let lane = i % args.lanes;
  let first = head * args.headDim;
  if (lane >= args.pairs) {
    y[first + args.pairs + lane] = x[first + args.pairs + lane];
    return;
  }
  var position = args.offset + i32(token % args.length);
  if (PLACED) {
    position = positions[token];
  }
  let a = select(lane, 2u * lane, args.interleaved != 0u);
  let b = select(lane + args.pairs, 2u * lane + 1u, args.interleaved != 0u);
  let angle = rotation(position, turns[lane]);
  let u = x[first + a];
  let w = x[first + b];
  y[first + a] = u * angle.x - w * (args.sign * angle.y);
  y[first + b] = u * (args.sign * angle.y) + w * angle.x;
}
