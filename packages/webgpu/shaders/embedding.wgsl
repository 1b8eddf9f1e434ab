// link: weights
// Gathers rows of a table by id; a lane copies four channels. A table that is split over several buffers takes one
// dispatch for each part, which leaves ids of other parts alone. An id below 0 gives a row of NaN. Bytes an element:
// the table's, and 4 written; 4 more read where rows are added to y.

struct Args {
  inputs: u32, // channels
  count: u32,
  firstRow: u32, // first row of this part
  rows: u32, // rows in this part
  idRow: u32, // stride of ids, and where they begin
  idOffset: u32,
  zero: u32, // keeps NaN from being a constant, which WGSL refuses
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> weight: array<vec4u>; // [rows, channels] in FORMAT
@group(0) @binding(2) var<storage, read> scales: array<u32>; // of the blocks of q8 and q4
@group(0) @binding(3) var<storage, read> ids: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [count, channels]

/// Adds to y rather than writing it.
override ACCUMULATE: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let quads = (args.inputs + 3u) / 4u;
  let at = i / quads;
  if (at >= args.count) {
    return;
  }
  if (ids[args.idOffset + at * args.idRow] < 0) {
    for (var c = 4u * (i % quads); c < min(4u * (i % quads) + 4u, args.inputs); c++) {
      y[at * args.inputs + c] = bitcast<f32>(0x7fc00000u | args.zero);
    }
    return;
  }
  // An id below the first row wraps around to a large one.
  let row = bitcast<u32>(ids[args.idOffset + at * args.idRow]) - args.firstRow;
  if (row >= args.rows) {
    return;
  }
  let column = 4u * (i % quads);
  let values = weight4(row, column);
  for (var c = 0u; c < 4u; c++) {
    if (column + c < args.inputs) {
      let to = at * args.inputs + column + c;
      var value = values[c];
      if (ACCUMULATE) {
        value += y[to];
      }
      y[to] = value;
    }
  }
}
