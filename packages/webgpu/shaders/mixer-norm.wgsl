// link: reduce, rms
// RMS-normalises dt, B and C of every row of x_proj's output in place: Jamba's mixer norms, or Falcon-Mamba's, which
// have no weights. A workgroup takes one of the three in one row. Bytes an element: 8 read, the second time from cache,
// 4 written.

struct Args {
  row: u32, // stride of a row
  dtRank: u32,
  states: u32,
  rows: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> projected: array<f32>; // [rows, row]: dt, B, C
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [dtRank + 2 states], in the same order

override WORKGROUP: u32 = 64u;
override WEIGHT: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.rows) {
    return;
  }
  let part = tile_id.z;
  let count = select(args.states, args.dtRank, part == 0u);
  let begin = select(args.dtRank + (part - 1u) * args.states, 0u, part == 0u);
  let first = row * args.row + begin;
  let rounds = (count + WORKGROUP - 1u) / WORKGROUP;
  var squares = 0.0;
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < count) {
      squares += projected[first + i] * projected[first + i];
    }
  }
  let factors = normFactors(groupSum(squares, index), first, count, args.eps);
  // Other lanes may still read the elements that a lane writes below.
  workgroupBarrier();
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < count) {
      var value = projected[first + i] * factors.x * factors.y;
      if (WEIGHT) {
        value *= weight[begin + i];
      }
      projected[first + i] = value;
    }
  }
}

fn element(i: u32) -> f32 {
  return projected[i];
}
