// link: reduce, row-{singles,quads}, moments
// y = (x - mean) / sqrt(mean((x - mean)²) + eps) · weight + bias. A workgroup takes a row and reads it three times, the
// second and third time from cache. Several norms may take the same rows, each with weights and results of its own.
// Bytes an element: 4 read, 4 written. Operations: 11.

struct Args {
  rows: u32,
  norms: u32,
  channels: u32,
  xRow: u32,
  xOffset: u32,
  yNorm: u32, // elements of y from one norm's rows to the next
  eps: f32,
  zero: u32, // keeps differences from being merged
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<Piece>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<Piece>; // [norms, channels]
@group(0) @binding(3) var<storage, read> bias: array<Piece>; // [norms, channels]
@group(0) @binding(4) var<storage, read_write> y: array<Piece>; // [norms, rows, channels]

override WORKGROUP: u32 = 128u;
override WEIGHT: bool = true;
override BIAS: bool = true;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tile_id.y * tiles_count.x + tile_id.x;
  if (tile >= args.norms * args.rows) {
    return;
  }
  let row = tile % args.rows;
  let norm = tile / args.rows;
  let base = (args.xOffset + row * args.xRow) / PIECE;
  let pieces = args.channels / PIECE;
  let moments = momentsOf(base, pieces, args.eps, args.zero, index);
  let to = norm * args.yNorm / PIECE + row * pieces;
  for (var i = index; i < pieces; i += WORKGROUP) {
    var value = standardised(x[base + i], moments, args.zero);
    if (WEIGHT) {
      value *= weight[norm * pieces + i];
    }
    if (BIAS) {
      value += bias[norm * pieces + i];
    }
    y[to + i] = value;
  }
}

fn pieceAt(i: u32) -> Piece {
  return x[i];
}

fn firstAt(base: u32, index: u32) -> f32 {
  return firstOf(x[base]);
}
