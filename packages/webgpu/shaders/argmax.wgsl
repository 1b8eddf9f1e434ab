// link: order
// Index of the largest logit of each row, the lowest of equals; NaN counts as the smallest. A workgroup a row.
// Bytes a logit: 4. Logits are bound as bits: an implementation may assume that floats are not NaN.

struct Args {
  rows: u32,
  vocab: u32,
  idRow: u32, // stride of ids, and where they begin
  idOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read_write> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> fed: array<i32>; // [rows] ids chosen last, [rows] how many were chosen

override WORKGROUP: u32 = 256u;
/// Writes behind the ids that were chosen before, and leaves the id where the next step reads it.
override FEED: bool = false;

const LOADS = 16u;

var<workgroup> orders: array<u32, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(num_workgroups) tiles_count: vec3u, @builtin(local_invocation_index) index: u32) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.rows) {
    return;
  }
  var best = 0u;
  var place = 0xffffffffu;
  let rounds = (args.vocab + LOADS * WORKGROUP - 1u) / (LOADS * WORKGROUP);
  for (var round = 0u; round < rounds; round++) {
    // LOADS loads under way at once; those past the row repeat its last logit, which changes nothing.
    var bits: array<u32, LOADS>;
    for (var k = 0u; k < LOADS; k++) {
      let i = min((round * LOADS + k) * WORKGROUP + index, args.vocab - 1u);
      bits[k] = logits[row * args.vocab + i];
    }
    for (var k = 0u; k < LOADS; k++) {
      let i = min((round * LOADS + k) * WORKGROUP + index, args.vocab - 1u);
      let order = orderOf(bits[k]);
      if (order > best || place == 0xffffffffu) {
        best = order;
        place = i;
      }
    }
  }
  orders[index] = best;
  places[index] = place;
  for (var half = WORKGROUP >> 1u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      let other = orders[index + half];
      let otherPlace = places[index + half];
      if (other > orders[index] || (other == orders[index] && otherPlace < places[index])) {
        orders[index] = other;
        places[index] = otherPlace;
      }
    }
  }
  if (index == 0u) {
    var step = 0;
    if (FEED) {
      step = fed[args.rows + row];
      fed[row] = bitcast<i32>(places[0]);
      fed[args.rows + row] = step + 1;
    }
    ids[args.idOffset + row * args.idRow + bitcast<u32>(step)] = bitcast<i32>(places[0]);
  }
}
