// Softmax attention on float32 lanes (arXiv 2307.08691): a workgroup takes TILE_ROWS rows of a head of keys and walks
// over the keys, TILE_KEYS at a time, with the largest scores and the sums of weights up to date. Nothing of the size
// queries × keys is written. See lib/attention-mask.wgsl for rows.
//
// Lanes lie as DOWN × ACROSS: a lane has four neighbouring rows, of which it forms scores with KEYS keys (ACROSS apart)
// and WIDE quads of channels of the results (ACROSS apart). Both products take a few loads for many multiply-adds, and
// their loops are written out in part: a loop alone keeps compilers from loading ahead. Queries are read from memory,
// where the first-level cache holds them: workgroup memory is better spent on workgroups. The largest scores of a row
// meet through `peaks`; weights pass through workgroup memory in place of the keys, which are no longer needed. Sums of
// weights stay with their lanes until the end.
//
// Bytes a tile: 4 headDim (TILE_ROWS / tiles + 2 TILE_KEYS) from memory, for 4 TILE_ROWS TILE_KEYS headDim operations.
// With SPLIT the keys are cut over workgroups, which leave sums, largest scores and weights for attention-sum.wgsl.
// link: heads-{quads,singles}, attention-mask, attention-scores, power-below, log-sum-exp

struct Args {
  batch: u32,
  queries: u32,
  keys: u32,
  heads: u32,
  kvHeads: u32,
  group: u32, // heads / kvHeads
  rows: u32, // queries · group
  headDim: u32,
  offset: i32,
  window: i32, // 0: none
  globalTokens: i32,
  causal: u32,
  factor: f32, // of q · k, in powers of two or for the cap
  cap: f32, // in powers of two; 0: none
  splits: u32,
  zero: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> q: array<Channels>; // [batch, queries, heads, headDim]
@group(0) @binding(2) var<storage, read> k: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(3) var<storage, read> v: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(4) var<storage, read> bounds: array<i32>; // see lib/attention-mask.wgsl
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [splits, batch, queries, heads, headDim]
@group(0) @binding(6) var<storage, read_write> stats: array<f32>; // [batch, queries, heads], or pairs [splits, …]

const QUADS: u32 = 16u; // constant
const DOWN: u32 = 16u; // constant
const ACROSS: u32 = 8u; // constant
const KEYS: u32 = 4u; // constant
const WIDE: u32 = 2u; // constant
/// Quads of keys, and of values, that a lane brings to a tile.
const BROUGHT: u32 = 4u; // constant
/// Quads of channels, and keys, whose products are written out: a divisor of QUADS, and of TILE_KEYS.
const TOGETHER: u32 = 4u; // constant
const KEYS_TOGETHER: u32 = 8u; // constant
/// Whether keys and values pass through workgroup memory. Otherwise lanes read them as they are.
override STAGE_KEYS: bool = true;
override STAGE_VALUES: bool = true;
override SPLIT: bool = false;

const LANES = DOWN * ACROSS;
const TILE_ROWS = 4u * DOWN;
const TILE_KEYS = ACROSS * KEYS;
/// vec4s from key to key, and from key to key of weights: one more than there are, against bank conflicts.
const STRIDE = QUADS + 1u;
const WEIGHTS = DOWN + 1u;
/// Less than any score.
const NONE = -3.0e38;

/// Keys, and then weights, by keys and lanes down.
var<workgroup> staged: array<vec4f, TILE_KEYS * max(WEIGHTS, select(1u, STRIDE, STAGE_KEYS))>;
var<workgroup> values: array<vec4f, select(1u, TILE_KEYS * QUADS, STAGE_VALUES)>;
/// The largest scores of each lane's rows, [ACROSS, DOWN].
var<workgroup> peaks: array<vec4f, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let tiles = (args.rows + TILE_ROWS - 1u) / TILE_ROWS;
  // The last rows see the most keys where the call is causal: they begin first.
  let first = (tiles - 1u - tile_id.x / args.splits) * TILE_ROWS;
  let split = tile_id.x % args.splits;
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let down = index / ACROSS;
  let across = index % ACROSS;
  let own = first + 4u * down;
  var places: array<u32, 4>;
  for (var r = 0u; r < 4u; r++) { // unroll
    places[r] = placeOf(b, kvHead, min(own + r, args.rows - 1u));
  }

  let firstQuery = first / args.group;
  let lastQuery = (min(first + TILE_ROWS, args.rows) - 1u) / args.group;
  let end = endFor(b, lastQuery);
  let begin = min(beginFor(b, firstQuery), end) / TILE_KEYS;
  let count = (end + TILE_KEYS - 1u) / TILE_KEYS - min(begin, (end + TILE_KEYS - 1u) / TILE_KEYS);
  let perSplit = (count + args.splits - 1u) / args.splits;
  let firstTile = begin + split * perSplit;
  let lastTile = min(firstTile + perSplit, begin + count);

  var sums: array<vec4f, 4u * WIDE>;
  var peak = vec4f(NONE);
  var total = vec4f();
  for (var tile = firstTile; tile < lastTile; tile++) {
    let key = tile * TILE_KEYS;
    workgroupBarrier();
    if (STAGE_KEYS) {
      // All loads are on their way before the first of them is stored.
      var brought: array<vec4f, BROUGHT>;
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        brought[n] = k4(keyPlace(b, kvHead, key + i / QUADS), i % QUADS);
      }
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        if (TILE_KEYS * QUADS % LANES == 0u || i < TILE_KEYS * QUADS) {
          staged[i / QUADS * STRIDE + i % QUADS] = select(vec4f(), brought[n], key + i / QUADS < end);
        }
      }
    }
    if (STAGE_VALUES) {
      var brought: array<vec4f, BROUGHT>;
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        brought[n] = v4(keyPlace(b, kvHead, key + i / QUADS), i % QUADS);
      }
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        if (TILE_KEYS * QUADS % LANES == 0u || i < TILE_KEYS * QUADS) {
          values[i] = select(vec4f(), brought[n], key + i / QUADS < end);
        }
      }
    }
    if (STAGE_KEYS || STAGE_VALUES) {
      workgroupBarrier();
    }
    // Of four rows each.
    var scores: array<vec4f, KEYS>;
    // Without this, Dawn's compiler makes zeros of it before the loop alone.
    for (var c = 0u; c < KEYS; c++) { // unroll
      scores[c] = vec4f();
    }
    for (var some = 0u; some < QUADS / TOGETHER; some++) {
      for (var t = 0u; t < TOGETHER; t++) { // unroll
        let quad = TOGETHER * some + t;
        let query = mat4x4f(q4(places[0], quad), q4(places[1], quad), q4(places[2], quad), q4(places[3], quad));
        for (var c = 0u; c < KEYS; c++) { // unroll
          var one: vec4f;
          if (STAGE_KEYS) {
            one = staged[(across + ACROSS * c) * STRIDE + quad];
          } else {
            one = k4(keyPlace(b, kvHead, key + across + ACROSS * c), quad);
          }
          // Four multiply-adds of each row one after the other; `dot` and an addition would be five operations.
          for (var r = 0u; r < 4u; r++) { // unroll
            scores[c][r] = query[r].x * one.x + scores[c][r];
            scores[c][r] = query[r].y * one.y + scores[c][r];
            scores[c][r] = query[r].z * one.z + scores[c][r];
            scores[c][r] = query[r].w * one.w + scores[c][r];
          }
        }
      }
    }
    for (var c = 0u; c < KEYS; c++) { // unroll
      scores[c] = scoresOf(scores[c]);
    }
    if (BOUNDED || !seenByAll(b, firstQuery, lastQuery, key)) {
      let sight = boundsOfFour(b, own);
      for (var c = 0u; c < KEYS; c++) { // unroll
        scores[c] = select(vec4f(NONE), scores[c], fourSee(sight, b, key + across + ACROSS * c));
      }
    }
    var most = scores[0];
    for (var c = 0u; c < KEYS; c++) { // unroll
      most = max(most, scores[c]);
    }
    peaks[across * DOWN + down] = most;
    // From here on nobody reads keys, and everybody may read the largest scores.
    workgroupBarrier();
    most = peak;
    for (var n = 0u; n < ACROSS; n++) { // unroll
      most = max(most, peaks[n * DOWN + down]);
    }
    let factor = powersBelow(peak - most);
    peak = most;
    total *= factor;
    for (var n = 0u; n < WIDE; n++) { // unroll
      for (var r = 0u; r < 4u; r++) { // unroll
        sums[r * WIDE + n] *= factor[r];
      }
    }
    for (var c = 0u; c < KEYS; c++) { // unroll
      let weight = select(powersBelow(scores[c] - most), vec4f(), scores[c] <= vec4f(-2.9e38));
      total += weight;
      staged[(across + ACROSS * c) * WEIGHTS + down] = weight;
    }
    workgroupBarrier();
    for (var some = 0u; some < TILE_KEYS / KEYS_TOGETHER; some++) {
      for (var t = 0u; t < KEYS_TOGETHER; t++) { // unroll
        let j = KEYS_TOGETHER * some + t;
        let weight = staged[j * WEIGHTS + down];
        for (var n = 0u; n < WIDE; n++) { // unroll
          let quad = min(across + ACROSS * n, QUADS - 1u);
          var value: vec4f;
          if (STAGE_VALUES) {
            value = values[j * QUADS + quad];
          } else {
            // What lies behind the last key is not seen, and may be anything: its weight of 0 is not enough.
            value = select(vec4f(), v4(keyPlace(b, kvHead, key + j), quad), key + j < end);
          }
          for (var r = 0u; r < 4u; r++) { // unroll
            sums[r * WIDE + n] = weight[r] * value + sums[r * WIDE + n];
          }
        }
      }
    }
  }

  workgroupBarrier();
  peaks[across * DOWN + down] = total;
  workgroupBarrier();
  total = vec4f();
  for (var n = 0u; n < ACROSS; n++) { // unroll
    total += peaks[n * DOWN + down];
  }
  for (var r = 0u; r < 4u; r++) { // unroll
    if (own + r < args.rows) {
      if (across == 0u) {
        storeStats(places[r], split, peak[r], total[r]);
      }
      let scale = select(select(1.0 / total[r], 0.0, total[r] == 0.0), 1.0, SPLIT);
      let to = (split * args.batch * args.queries * args.heads + places[r]) * args.headDim;
      for (var n = 0u; n < WIDE; n++) { // unroll
        let value = sums[r * WIDE + n] * scale;
        for (var i = 0u; i < 4u; i++) { // unroll
          let channel = 4u * (across + ACROSS * n) + i;
          if (channel < args.headDim) {
            y[to + channel] = value[i];
          }
        }
      }
    }
  }
}

/// The place of a row among those of all heads, `[batch, queries, heads]`.
fn placeOf(b: u32, kvHead: u32, row: u32) -> u32 {
  return (b * args.queries + row / args.group) * args.heads + kvHead * args.group + row % args.group;
}

/// The row of a key among those of all heads, or of the last one behind it.
fn keyPlace(b: u32, kvHead: u32, key: u32) -> u32 {
  return (b * args.keys + min(key, args.keys - 1u)) * args.kvHeads + kvHead;
}

/// Whether all queries from the first to the last see every key of a tile.
fn seenByAll(b: u32, firstQuery: u32, lastQuery: u32, key: u32) -> bool {
  let last = i32(key + TILE_KEYS) - 1;
  let low = plainBounds(positionOf(b, firstQuery), 0, i32(args.keys));
  let high = plainBounds(positionOf(b, lastQuery), 0, i32(args.keys));
  return i32(key) >= high.begin && last <= low.end;
}

fn storeStats(place: u32, split: u32, most: f32, weight: f32) {
  if (SPLIT) {
    let at = 2u * (split * args.batch * args.queries * args.heads + place);
    stats[at] = most;
    stats[at + 1u] = weight;
  } else {
    stats[place] = logSumExp(most, weight);
  }
}
