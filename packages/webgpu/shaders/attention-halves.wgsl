// Rounds keys and values to halves for attention-matrix.wgsl, head by head, so that its workgroups bring them to their
// tiles as they are. With PAIRS the rests of the rounding follow, and both together are near float32. A lane has eight
// channels. Bytes a channel of keys and of values: 4 read, and 2 written, or 4 with PAIRS.
// link: halves

struct Args {
  octets: u32, // of keys, and of values
  keys: u32,
  kvHeads: u32,
  headOctets: u32, // headDim / 8
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> k: array<vec4f>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(2) var<storage, read> v: array<vec4f>; // [batch, keys, kvHeads, headDim]
// [keys or values, rests, batch, kvHeads, keys, headDim]
@group(0) @binding(3) var<storage, read_write> halves: array<vec4u>;

override PAIRS: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  if (i >= args.octets) {
    return;
  }
  let octet = i % args.headOctets;
  let key = i / args.headOctets % args.keys;
  let head = i / args.headOctets / args.keys; // batch · kvHeads
  let row = (head / args.kvHeads * args.keys + key) * args.kvHeads + head % args.kvHeads;
  let at = 2u * (row * args.headOctets + octet);
  leave(0u, i, k[at], k[at + 1u]);
  leave(select(1u, 2u, PAIRS), i, v[at], v[at + 1u]);
}

fn leave(part: u32, i: u32, first: vec4f, second: vec4f) {
  if (PAIRS) {
    halves[part * args.octets + i] = packed(nearest(first), nearest(second));
    halves[(part + 1u) * args.octets + i] = packed(first - nearest(first), second - nearest(second));
  } else {
    halves[part * args.octets + i] = packed(first, second);
  }
}
