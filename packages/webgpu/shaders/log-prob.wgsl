// link: math, reduce
// logits[id] - log Σ exp(logits), where the row's maximum is subtracted first. A workgroup takes a row and reads it
// twice. One of the largest logits is left out of the sum and comes back by log1p, so that the probability of all
// others is not lost beside it. Logits are bound as bits, since an implementation may assume that floats are not NaN; a
// row with a NaN has no probabilities. Bytes a logit: 8, the second time from cache. Operations: 1 exp, 2 adds.

struct Args {
  rows: u32,
  vocab: u32,
  zero: u32, // keeps NaN from being a constant, which WGSL refuses
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read> ids: array<u32>; // [rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [rows]

override WORKGROUP: u32 = 256u;
const SPAN = 16u;

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
  let rounds = (args.vocab + WORKGROUP - 1u) / WORKGROUP;
  var largest = -3.4028234e38;
  var invalid = 0.0;
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < args.vocab) {
      if ((logits[base + i] & 0x7fffffffu) > 0x7f800000u) {
        invalid = 1.0;
      } else {
        largest = max(largest, logit(base + i));
      }
    }
  }
  let peak = groupMax(largest, index);
  let nan = groupMax(invalid, index) != 0.0;
  var others = 0.0;
  var ties = 0.0;
  // The sum goes by spans, since a long sum of equal parts rounds the same way at every addition.
  for (var span = 0u; span < rounds; span += SPAN) {
    var part = 0.0;
    for (var k = 0u; k < SPAN; k++) {
      let i = (span + k) * WORKGROUP + index;
      if (i < args.vocab) {
        let below = logit(base + i) - peak;
        part += select(exp(below), 0.0, below == 0.0);
        ties += select(0.0, 1.0, below == 0.0);
      }
    }
    others += part;
  }
  // The others are summed apart, since a few of them would be lost beside the ties.
  let rest = groupSum(others, index) + (groupSum(ties, index) - 1.0);
  if (index == 0u) {
    // An id of -1, which a checked choice may give, has no logit.
    let id = min(ids[row], args.vocab - 1u);
    y[row] = select(logit(base + id) - peak - log1p(rest), bitcast<f32>(0x7fc00000u | args.zero), nan);
  }
}

fn logit(i: u32) -> f32 {
  return bitcast<f32>(logits[i]);
}
