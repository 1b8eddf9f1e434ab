// The indices that sort each row of keys, equal keys in their order. A lane has one key, counts the keys that come
// before it, and writes its index to that place. The keys of a row pass through workgroup memory in tiles.
// Bytes a key: 8, and 4 of every other key of the row for each 256 keys. Operations: 3 a pair of keys.

struct Args {
  length: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> keys: array<i32>; // [rows, length]
@group(0) @binding(2) var<storage, read_write> order: array<u32>; // [rows, length]

const LANES = 256u;

var<workgroup> others: array<i32, LANES>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let row = tile_id.y * args.length;
  let own = tile_id.x * LANES + index;
  let key = keys[row + min(own, args.length - 1u)];
  var place = 0u;
  for (var first = 0u; first < args.length; first += LANES) {
    workgroupBarrier();
    others[index] = keys[row + min(first + index, args.length - 1u)];
    workgroupBarrier();
    let count = min(LANES, args.length - first);
    for (var i = 0u; i < count; i++) {
      let other = others[i];
      place += select(0u, 1u, other < key || (other == key && first + i < own));
    }
  }
  if (own < args.length) {
    order[row + place] = own;
  }
}
