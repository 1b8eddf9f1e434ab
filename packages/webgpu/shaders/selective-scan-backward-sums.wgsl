// The last dispatch of the backward scan: it adds up what the workgroups of the others left, in a fixed order.
//
// The first `partialGroups` workgroups make dB and dC, one element a lane: the sum over the group's tiles of channels.
// The others make dA, dD, ddeltaBias and the gradients of constant B and C. Each makes COLUMNS elements of the records,
// which 256 / COLUMNS lanes add up over rows and chunks, each lane every so many, and then pairwise. Where the batch is
// taken in ranges of rows, the sums of a later range are added to those of the ranges before it.
//
// Bytes: everything is read once and written once.

@group(0) @binding(0) var<uniform> args: SumArgs;
@group(0) @binding(1) var<storage, read> workspace: array<f32>;
@group(0) @binding(2) var<storage, read_write> dA: array<f32>; // [dim, states]
@group(0) @binding(3) var<storage, read_write> dB: array<f32>; // [batch, length, groups, states], or [dim, states]
@group(0) @binding(4) var<storage, read_write> dC: array<f32>; // as dB
@group(0) @binding(5) var<storage, read_write> dD: array<f32>; // [dim]
@group(0) @binding(6) var<storage, read_write> dBias: array<f32>; // [dim]

struct SumArgs {
  length: u32,
  dim: u32,
  states: u32,
  groups: u32,
  firstRow: u32,
  rows: u32,
  chunks: u32,
  tilesPerGroup: u32,
  record: u32,
  atRecords: u32,
  atPartials: u32,
  partialGroups: u32,
  hasD: u32, // 1 where there is a D, and else 0
  hasDeltaBias: u32,
}

override CONSTANT_B: bool = false;
override CONSTANT_C: bool = false;
/// Whether earlier ranges of rows left sums of the records.
override ADD: bool = false;

const COLUMNS = 16u;
const SHARES = 256u / COLUMNS;

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(num_workgroups) groups_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let place = group_id.y * groups_count.x + group_id.x;
  if (place < args.partialGroups) {
    addTiles(place * 256u + index);
  } else {
    addRecords(place - args.partialGroups, index);
  }
}

fn addTiles(i: u32) {
  let pair = 2u * args.states;
  if (i >= args.rows * args.length * args.groups * pair) {
    return;
  }
  let place = i / pair; // of row, step and group
  let first = args.atPartials + place * args.tilesPerGroup * pair + i % pair;
  var sum = 0.0;
  for (var tile = 0u; tile < args.tilesPerGroup; tile++) {
    sum += workspace[first + tile * pair];
  }
  let target_ = (args.firstRow * args.length * args.groups + place) * args.states + i % args.states;
  if (i % pair < args.states) {
    if (!CONSTANT_B) {
      dB[target_] = sum;
    }
  } else if (!CONSTANT_C) {
    dC[target_] = sum;
  }
}

fn addRecords(place: u32, index: u32) {
  let size = args.dim * args.record;
  let i = place * COLUMNS + index % COLUMNS;
  let records = args.rows * args.chunks;
  var sums = vec4f();
  if (i < size) {
    for (var r = index / COLUMNS; r < records; r += 4u * SHARES) {
      // Loads of records that are not there repeat the last, so that all four go out together.
      var values: vec4f;
      for (var k = 0u; k < 4u; k++) {
        values[k] = workspace[args.atRecords + min(r + k * SHARES, records - 1u) * size + i];
      }
      sums += select(vec4f(), values, vec4u(r) + vec4u(0u, 1u, 2u, 3u) * SHARES < vec4u(records));
    }
  }
  shares[index] = (sums.x + sums.y) + (sums.z + sums.w);
  for (var half = 128u; half >= COLUMNS; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      shares[index] += shares[index + half];
    }
  }
  if (index < COLUMNS && i < size) {
    emit(i / args.record, i % args.record, shares[index]);
  }
}

/// Writes element n of a channel's summed record to its gradient.
fn emit(channel: u32, n: u32, sum: f32) {
  let state = channel * args.states + n % args.states;
  let part = n / args.states;
  let ofC = select(1u, 2u, CONSTANT_B);
  let parts = ofC + select(0u, 1u, CONSTANT_C);
  if (part == 0u) {
    dA[state] = sum + select(0.0, dA[state], ADD);
  } else if (CONSTANT_B && part == 1u) {
    dB[state] = sum + select(0.0, dB[state], ADD);
  } else if (CONSTANT_C && part == ofC) {
    dC[state] = sum + select(0.0, dC[state], ADD);
  } else if (args.hasD != 0u && n == parts * args.states) {
    dD[channel] = sum + select(0.0, dD[channel], ADD);
  } else if (args.hasDeltaBias != 0u && n == parts * args.states + 1u) {
    dBias[channel] = sum + select(0.0, dBias[channel], ADD);
  }
}
