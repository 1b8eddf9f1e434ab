// link: power-below, log-sum-exp, reduce
// Adds up the splits of attention.wgsl and attention-step.wgsl, and divides by the sum of weights. A workgroup takes 64
// channels of a row, and each of its four groups of lanes every fourth split, so that many loads are on their way.
// Bytes a channel: 4 splits + 4.

struct Args {
  total: u32, // rows of all heads
  headDim: u32,
  blocks: u32, // of 64 channels
  splits: u32,
  zero: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [splits, total, headDim]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [splits, total, 2]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [total, headDim]
@group(0) @binding(4) var<storage, read_write> results: array<f32>; // logSumExp [total]

const WORKGROUP = 256u;
const WIDTH = 64u;
const GROUPS = WORKGROUP / WIDTH;
/// Splits whose factors are in workgroup memory at a time.
const ROUND = WORKGROUP;
/// Splits of a group whose loads are on their way together.
const TOGETHER = 8u;

var<workgroup> factors: array<f32, ROUND>;
var<workgroup> parts: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tile_id.y * tiles_count.x + tile_id.x;
  if (tile >= args.total * args.blocks) {
    return;
  }
  let row = tile / args.blocks;
  let channel = tile % args.blocks * WIDTH + index % WIDTH;
  let first = index / WIDTH;
  var most = -3.0e38;
  for (var split = index; split < args.splits; split += WORKGROUP) {
    most = max(most, stats[2u * (split * args.total + row)]);
  }
  most = groupMax(most, index);
  var weight = 0.0;
  var sum = 0.0;
  for (var begin = 0u; begin < args.splits; begin += ROUND) {
    workgroupBarrier();
    var factor = 0.0;
    if (begin + index < args.splits) {
      let at = 2u * ((begin + index) * args.total + row);
      factor = powerBelow(stats[at] - most);
      weight += factor * stats[at + 1u];
    }
    factors[index] = factor;
    workgroupBarrier();
    let count = min(ROUND, args.splits - begin);
    if (channel < args.headDim) {
      for (var split = first; split < count; split += GROUPS * TOGETHER) {
        var brought: array<f32, 8>;
        for (var n = 0u; n < 8u; n++) { // unroll
          let at = begin + min(split + GROUPS * n, count - 1u);
          brought[n] = sums[(at * args.total + row) * args.headDim + channel];
        }
        for (var n = 0u; n < 8u; n++) { // unroll
          if (split + GROUPS * n < count) {
            sum += factors[split + GROUPS * n] * brought[n];
          }
        }
      }
    }
  }
  weight = groupSum(weight, index);
  parts[index] = sum;
  workgroupBarrier();
  if (first == 0u && channel < args.headDim) {
    let scale = select(1.0 / weight, 0.0, weight == 0.0);
    sum = (parts[index] + parts[index + WIDTH]) + (parts[index + 2u * WIDTH] + parts[index + 3u * WIDTH]);
    y[row * args.headDim + channel] = sum * scale;
  }
  if (index == 0u && tile % args.blocks == 0u) {
    results[row] = logSumExp(most, weight);
  }
}
