// The gradient of an embedding's table: the sums of the rows of dy that have each id, in the order of their places, by
// gathering, since WGSL has no atomic floats and their sums would not repeat.
//
// A workgroup owns a range of the table's rows. It reads all ids, PLACES at a time, collects those of its rows in
// workgroup memory, orders them by row and place, and adds up the rows of dy of each run, AHEAD loads at a time. A lane
// owns every WORKGROUP-th channel. Writing zeros first, it adds each run to what is there.
//
// Bytes: the table's gradient is written once, 4 an element, and again where a row has ids; dy is read once; each
// workgroup reads all ids, from cache, 4 · rows / owned an id in all. An id that fills a share f of `count` places
// takes f · count · channels / WORKGROUP loads of one lane after the other, AHEAD of them at once.

struct Args {
  count: u32, // of ids
  rows: u32, // of the table
  channels: u32,
  owned: u32, // rows of a workgroup
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [count, channels]
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>; // [rows, channels]

const WORKGROUP = 256u;
const PLACES = 1024u;
const AHEAD = 8u;

var<workgroup> found: atomic<u32>;
var<workgroup> foundOfAll: u32;
/// The row within the range and the place among PLACES of each id that was found, as row · PLACES + place: in any
/// order, and ordered.
var<workgroup> keys: array<u32, PLACES>;
var<workgroup> ordered: array<u32, PLACES>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let first = (tile_id.y * tiles_count.x + tile_id.x) * args.owned;
  let owned = min(args.owned, args.rows - min(first, args.rows));
  for (var r = 0u; r < owned; r++) {
    for (var c = index; c < args.channels; c += WORKGROUP) {
      dtable[(first + r) * args.channels + c] = 0.0;
    }
  }
  for (var begin = 0u; begin < args.count; begin += PLACES) {
    for (var k = 0u; k < PLACES / WORKGROUP; k++) {
      let place = k * WORKGROUP + index;
      // An id below the range, also below 0, wraps around to a large one.
      let row = ids[min(begin + place, args.count - 1u)] - first;
      if (begin + place < args.count && row < owned) {
        keys[atomicAdd(&found, 1u)] = row * PLACES + place;
      }
    }
    workgroupBarrier();
    if (index == 0u) {
      foundOfAll = atomicLoad(&found);
    }
    let count = workgroupUniformLoad(&foundOfAll);
    if (count > 0u) {
      // The rank of a key is the number of smaller ones, so the order does not depend on the order of arrival.
      for (var i = index; i < count; i += WORKGROUP) {
        var rank = 0u;
        for (var j = 0u; j < count; j++) {
          rank += select(0u, 1u, keys[j] < keys[i]);
        }
        ordered[rank] = keys[i];
      }
      if (index == 0u) {
        atomicStore(&found, 0u);
      }
      workgroupBarrier();
      for (var c = index; c < args.channels; c += WORKGROUP) {
        addRuns(first, begin, count, c);
      }
      workgroupBarrier();
    }
  }
}

/// Adds one channel of the rows of dy that were found, run by run.
fn addRuns(first: u32, begin: u32, count: u32, c: u32) {
  var row = ordered[0] / PLACES;
  var sum = dtable[(first + row) * args.channels + c];
  for (var i = 0u; i < count; i += AHEAD) {
    var values: array<f32, AHEAD>;
    for (var k = 0u; k < AHEAD; k++) {
      let place = begin + ordered[min(i + k, count - 1u)] % PLACES;
      values[k] = dy[place * args.channels + c];
    }
    for (var k = 0u; k < AHEAD; k++) {
      if (i + k < count) {
        let next = ordered[i + k] / PLACES;
        if (next != row) {
          dtable[(first + row) * args.channels + c] = sum;
          row = next;
          sum = dtable[(first + row) * args.channels + c];
        }
        sum += values[k];
      }
    }
  }
  dtable[(first + row) * args.channels + c] = sum;
}
