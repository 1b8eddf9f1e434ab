// link: math, reduce
// logits[id] - log Σ exp(logits), the row's maximum taken out first. A workgroup a row, which is read twice.
// One of the largest is left out of the sum and comes back as log1p, so that the chance of all others is not lost
// beside it. Logits are bound as bits: an implementation may assume that floats are not NaN, and a row with one has no
// probabilities. Bytes a logit: 8, the second time from cache. Operations: 1 exp, 2 adds.

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
  // By spans: long sums of equal parts round the same way at every addition.
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
  // Apart: few others would be lost beside the ties.
  let rest = groupSum(others, index) + (groupSum(ties, index) - 1.0);
  if (index == 0u) {
    // The -1 of a checked choice has no logit.
    let id = min(ids[row], args.vocab - 1u);
    y[row] = select(logit(base + id) - peak - log1p(rest), bitcast<f32>(0x7fc00000u | args.zero), nan);
  }
}

fn logit(i: u32) -> f32 {
  return bitcast<f32>(logits[i]);
}
