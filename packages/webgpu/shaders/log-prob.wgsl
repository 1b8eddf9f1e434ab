// link: math, reduce, log-sum
// logits[id] - log Σ exp(logits), where the row's maximum is subtracted first. A workgroup takes a row and reads it
// twice. One of the largest logits is left out of the sum and comes back by log1p. Bytes a logit: 8, the second time
// from cache. Operations: 1 exp, 2 adds.

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
  if (index == 0u) {
    // An id of -1, which a checked choice may give, has no logit.
    let id = min(ids[row], args.vocab - 1u);
    y[row] = select(logit(base + id) - sum.peak - log1p(sum.others), notANumber(), sum.nan);
  }
}
