// link: math, reduce, log-sum
// The gradient of the logits of crossEntropy, dy (p - (1 - s) (v = target) - s / vocab), and with the factor -1 that of
// logProb. A workgroup takes a row and reads it three times, all but the first from cache. At the target p - 1 is
// formed as minus the sum of all other probabilities, since it would cancel where p is near 1.
// Bytes a logit: 4 read, 4 written. Operations: 2 exp, 5 multiplies or adds.

struct Args {
  rows: u32,
  vocab: u32,
  smoothing: f32,
  factor: f32, // 1, or -1
  zero: u32, // keeps NaN from being a constant, which WGSL refuses
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read> targets: array<i32>; // [rows]
@group(0) @binding(3) var<storage, read> dy: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>; // [rows, vocab]

override WORKGROUP: u32 = 256u;
/// Whether rows with a target below 0 are left out. Otherwise such a target is none of the tokens.
override IGNORE: bool = true;

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
  let chosen = targets[row];
  let ignored = IGNORE && chosen < 0;
  // The largest logit that `others` leaves out counts 1. Where it is not the target's, the difference does not cancel.
  let whole = 1.0 + sum.others;
  let own = logit(base + u32(clamp(chosen, 0, i32(args.vocab) - 1))) - sum.peak;
  let rest = select(whole - exp(own), sum.others, own == 0.0);
  let uniformShare = args.smoothing / f32(args.vocab);
  let cotangent = args.factor * dy[row];
  for (var i = index; i < args.vocab; i += WORKGROUP) {
    var value = exp(logit(base + i) - sum.peak) / whole - uniformShare;
    if (i32(i) == chosen) {
      value = args.smoothing - rest / whole - uniformShare;
    }
    value = select(cotangent * value, notANumber(), sum.nan);
    dlogits[base + i] = select(value, 0.0, ignored);
  }
}
