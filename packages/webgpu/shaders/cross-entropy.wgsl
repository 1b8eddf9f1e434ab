// link: math, reduce, log-sum
// The loss of each row against its target: log Σ exp(logits) - (1 - s) logits[target] - s mean(logits), where the row's
// maximum is subtracted first, and 0 where the target is below 0. A workgroup takes a row and reads it twice, or three
// times with SMOOTH, all but the first from cache. Bytes a logit: 4. Operations: 1 exp, 2 adds.

struct Args {
  rows: u32,
  vocab: u32,
  smoothing: f32,
  zero: u32, // keeps NaN from being a constant, which WGSL refuses
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read> targets: array<i32>; // [rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [rows]

override WORKGROUP: u32 = 256u;
/// Whether `smoothing` is above 0. Otherwise the mean has no weight, and an infinite logit must not make NaN of it.
override SMOOTH: bool = false;

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
  let base = row * args.vocab;
  let sum = sumRow(base, index);
  var spread = 0.0;
  if (SMOOTH) {
    var below = 0.0;
    for (var i = index; i < args.vocab; i += WORKGROUP) {
      below += logit(base + i) - sum.peak;
    }
    spread = args.smoothing * groupSum(below, index) / f32(args.vocab);
  }
  if (index == 0u) {
    let chosen = targets[row];
    var loss = 0.0;
    if (chosen >= 0) {
      let own = logit(base + min(u32(chosen), args.vocab - 1u)) - sum.peak;
      loss = select(log1p(sum.others) - (1.0 - args.smoothing) * own - spread, notANumber(), sum.nan);
    }
    y[row] = loss;
  }
}
