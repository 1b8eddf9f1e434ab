// target[b, offset + t] = rows[b, t], where that row exists. A lane writes one 32-bit word of any type. Bytes an
// element: 8.

struct Args {
  size: u32, // elements of rows
  length: u32,
  channels: u32,
  capacity: u32,
  offset: i32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> rows: array<u32>; // [batch, length, channels]
@group(0) @binding(2) var<storage, read> offsets: array<i32>; // [batch]
@group(0) @binding(3) var<storage, read_write> destination: array<u32>; // [batch, capacity, channels]

/// Whether each row of the batch has an offset of its own.
override OFFSETS: bool = false;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  if (i >= args.size) {
    return;
  }
  let b = i / (args.length * args.channels);
  var offset = args.offset;
  if (OFFSETS) {
    offset = clamp(offsets[b], -1073741824, 1073741823);
  }
  let row = offset + i32(i / args.channels % args.length);
  if (row >= 0 && row < i32(args.capacity)) {
    destination[(b * args.capacity + u32(row)) * args.channels + i % args.channels] = rows[i];
  }
}
