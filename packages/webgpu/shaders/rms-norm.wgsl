// link: reduce, rms, stored-{floats,halves}
// y = x / sqrt(mean(x²) + eps) · weight. A workgroup takes a row and reads it twice, the second time from cache. Bytes
// an element: 4 read, 4 written, or 2 in halves. Operations: 4.

struct Args {
  rows: u32,
  channels: u32,
  xRow: u32,
  xOffset: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [channels]
@group(0) @binding(3) var<storage, read_write> y: array<Stored>; // [rows, channels]

override WORKGROUP: u32 = 128u;
override WEIGHT: bool = true;

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
  let base = args.xOffset + row * args.xRow;
  let rounds = (args.channels + 8u * WORKGROUP - 1u) / (8u * WORKGROUP);
  var squares = 0.0;
  for (var round = 0u; round < rounds; round++) {
    let values = eight(base, 8u * round * WORKGROUP + index);
    for (var j = 0u; j < 8u; j++) { // unroll
      if ((8u * round + j) * WORKGROUP + index < args.channels) {
        squares += values[j] * values[j];
      }
    }
  }
  let factors = normFactors(groupSum(squares, index), base, args.channels, args.eps);
  for (var round = 0u; round < rounds; round++) {
    let values = eight(base, 8u * round * WORKGROUP + index);
    for (var j = 0u; j < 8u; j++) { // unroll
      let c = (8u * round + j) * WORKGROUP + index;
      if (c < args.channels) {
        var value = values[j] * factors.x * factors.y;
        if (WEIGHT) {
          value *= weight[c];
        }
        y[row * args.channels + c] = Stored(value);
      }
    }
  }
}

/// Eight channels of a row, WORKGROUP apart, which are on their way at once; past the row its last one.
fn eight(base: u32, first: u32) -> array<f32, 8> {
  var values: array<f32, 8>;
  for (var j = 0u; j < 8u; j++) { // unroll
    values[j] = x[base + min(first + j * WORKGROUP, args.channels - 1u)];
  }
  return values;
}

fn element(i: u32) -> f32 {
  return x[i];
}
