// Adds up the splits of attention.wgsl in their order, and divides by the sum of weights. A workgroup takes a row, and
// a lane some of its channels. Bytes a channel: 4 splits + 4.
// link: power-below, log-sum-exp

struct Args {
  total: u32, // rows of all heads
  headDim: u32,
  splits: u32,
  zero: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [splits, total, headDim]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [splits, total, 2]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [total, headDim]
@group(0) @binding(4) var<storage, read_write> results: array<f32>; // logSumExp [total]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.total) {
    return;
  }
  var most = -3.0e38;
  for (var split = 0u; split < args.splits; split++) {
    most = max(most, stats[2u * (split * args.total + row)]);
  }
  var weight = 0.0;
  for (var split = 0u; split < args.splits; split++) {
    let at = 2u * (split * args.total + row);
    weight += powerBelow(stats[at] - most) * stats[at + 1u];
  }
  let scale = select(1.0 / weight, 0.0, weight == 0.0);
  for (var c = index; c < args.headDim; c += 64u) {
    var sum = 0.0;
    for (var split = 0u; split < args.splits; split++) {
      let at = split * args.total + row;
      sum += powerBelow(stats[2u * at] - most) * sums[at * args.headDim + c];
    }
    y[row * args.headDim + c] = sum * scale;
  }
  if (index == 0u) {
    results[row] = logSumExp(most, weight);
  }
}
