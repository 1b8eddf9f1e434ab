// link: order
// The index of the largest logit of each row, the lowest of equals; NaN counts as the smallest. A workgroup takes a
// row, or one of the parts of `span` logits of a long row; a second dispatch compares the largest of the parts
// (CANDIDATES). Bytes a logit: 4. Logits are bound as bits, since an implementation may assume that floats are not NaN.

struct Args {
  rows: u32,
  vocab: u32,
  span: u32, // logits in a part
  parts: u32, // parts in a row
  idRow: u32, // stride of ids, and where they begin
  idOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read> candidates: array<i32>; // [rows, parts], ascending
@group(0) @binding(3) var<storage, read_write> ids: array<i32>; // or candidates, where a row has several parts
@group(0) @binding(4) var<storage, read_write> fed: array<i32>; // [rows] ids chosen last, [rows] how many were chosen

override WORKGROUP: u32 = 256u;
/// Writes the id behind those that were chosen before, and also where the next step reads it.
override FEED: bool = false;
override CANDIDATES: bool = false;
/// Gives -1 for a row that holds NaN or an infinity, which count as the largest then.
override CHECKED: bool = false;

const LOADS = 8u;

var<workgroup> orders: array<u32, WORKGROUP>;
var<workgroup> chosen: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tile_id.y * tiles_count.x + tile_id.x;
  let parts = select(args.parts, 1u, CANDIDATES);
  let row = tile / parts;
  if (row >= args.rows) {
    return;
  }
  let begin = tile % parts * args.span;
  let end = select(min(begin + args.span, args.vocab), args.parts, CANDIDATES);
  var best = 0u;
  var place = 0xffffffffu;
  let rounds = (end - begin + LOADS * WORKGROUP - 1u) / (LOADS * WORKGROUP);
  for (var round = 0u; round < rounds; round++) {
    // LOADS loads are under way at once. Those past the end repeat the last, which changes nothing.
    var places: array<u32, LOADS>;
    var bits: array<u32, LOADS>;
    for (var k = 0u; k < LOADS; k++) {
      places[k] = min(begin + (round * LOADS + k) * WORKGROUP + index, end - 1u);
      if (CANDIDATES) {
        places[k] = bitcast<u32>(candidates[row * args.parts + places[k]]);
      }
    }
    for (var k = 0u; k < LOADS; k++) {
      bits[k] = logits[row * args.vocab + places[k]];
    }
    for (var k = 0u; k < LOADS; k++) {
      let order = select(orderOf(bits[k]), 0xffffffffu, CHECKED && (bits[k] & 0x7f800000u) == 0x7f800000u);
      if (order > best || place == 0xffffffffu) {
        best = order;
        place = places[k];
      }
    }
  }
  orders[index] = best;
  chosen[index] = place;
  for (var half = WORKGROUP >> 1u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      let other = orders[index + half];
      let otherPlace = chosen[index + half];
      if (other > orders[index] || (other == orders[index] && otherPlace < chosen[index])) {
        orders[index] = other;
        chosen[index] = otherPlace;
      }
    }
  }
  if (index == 0u) {
    var step = 0;
    if (FEED) {
      step = fed[args.rows + row];
      fed[row] = bitcast<i32>(chosen[0]);
      fed[args.rows + row] = step + 1;
    }
    let infinite = (logits[row * args.vocab + chosen[0]] & 0x7f800000u) == 0x7f800000u;
    let marked = CHECKED && infinite && (CANDIDATES || args.parts == 1u);
    ids[args.idOffset + tile * args.idRow + bitcast<u32>(step)] = select(bitcast<i32>(chosen[0]), -1, marked);
  }
}
