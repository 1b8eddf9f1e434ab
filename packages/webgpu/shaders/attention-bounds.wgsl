// What each query sees, for masks that lie in tensors: `[batch, queries, 8]` of begin, end, first, globalEnd, segment,
// position, the end of the keys without a window, and 0; and behind it the segments of all keys. A lane makes one of
// these. See lib/attention-mask.wgsl.
// link: attention-mask

struct Args {
  batch: u32,
  queries: u32,
  keys: u32,
  group: u32,
  rows: u32,
  offset: i32,
  window: i32, // 0: none
  globalTokens: i32,
  causal: u32,
  lengths: u32, // whether there are keyLengths, offsets, reach
  offsets: u32,
  reaches: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> keyLengths: array<i32>; // [batch]
@group(0) @binding(2) var<storage, read> offsets: array<i32>; // [batch]
@group(0) @binding(3) var<storage, read> reach: array<f32>; // [batch, queries, 1]
@group(0) @binding(4) var<storage, read> segments: array<i32>; // [batch, keys]
@group(0) @binding(5) var<storage, read_write> bounds: array<i32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let count = args.batch * args.queries;
  if (i < count) {
    boundQuery(i / args.queries, i % args.queries);
  } else if (SEGMENTED && i - count < args.batch * args.keys) {
    bounds[8u * count + i - count] = segments[i - count];
  }
}

fn boundQuery(b: u32, query: u32) {
  let at = (b * args.queries + query) * 8u;
  var offset = args.offset;
  if (args.offsets != 0u) {
    offset = clamp(offsets[b], -FAR, FAR);
  }
  let position = min(offset, FAR - 1) + i32(query);
  var keys = i32(args.keys);
  if (args.lengths != 0u) {
    keys = clamp(keyLengths[b], 0, keys);
  }
  var first = 0;
  if (args.reaches != 0u) {
    let own = reach[b * args.queries + query];
    // NaN is no reach at all.
    first = max(0, position + 1 - select(0, i32(min(own, 1073741824.0)), own >= 1.0));
  }
  var own = plainBounds(position, first, keys);
  if (SEGMENTED) {
    if (position < 0 || position >= i32(args.keys)) {
      own = Bounds(FAR, -1, FAR, -1, 0);
    } else {
      own.segment = segments[b * args.keys + u32(position)];
    }
  }
  bounds[at] = own.begin;
  bounds[at + 1u] = own.end;
  bounds[at + 2u] = own.first;
  bounds[at + 3u] = own.globalEnd;
  bounds[at + 4u] = own.segment;
  bounds[at + 5u] = position;
  bounds[at + 6u] = clamp(select(keys, min(keys, position + 1), args.causal != 0u), 0, keys);
  bounds[at + 7u] = 0;
}
