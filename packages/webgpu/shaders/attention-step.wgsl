// link: heads-{quads,singles}, attention-mask, attention-scores, power-below, log-sum-exp
// Softmax attention of at most ROWS rows of a head of keys, as a step of decoding has: bound by reading the cache once.
// A workgroup walks over a split of the keys, TILE_KEYS at a time; attention-sum.wgsl adds the splits up.
//
// 128 lanes as GROUPS of ACROSS lanes. A group has EACH keys of a tile, whose quads of channels it reads side by side;
// all loads of a tile, values included, are on their way before the first is used. Parts of scores meet through
// workgroup memory. Then each group goes on alone, with largest scores and sums of its own, and groups meet at the end.
//
// Bytes a key: 8 headDim, for 4 headDim operations a row.

struct Args {
  batch: u32,
  queries: u32,
  keys: u32,
  heads: u32,
  kvHeads: u32,
  group: u32, // heads / kvHeads
  rows: u32, // queries · group, at most ROWS
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
const ACROSS: u32 = 16u; // constant
const WIDE: u32 = 1u; // constant
const EACH: u32 = 8u; // constant
const ROWS: u32 = 1u; // constant
override SPLIT: bool = false;

const LANES = 128u;
const GROUPS = LANES / ACROSS;
const TILE_KEYS = GROUPS * EACH;
const NONE = -3.0e38;

/// Parts of scores, [TILE_KEYS, ROWS, ACROSS] with one more in a row, against bank conflicts.
var<workgroup> parts: array<f32, TILE_KEYS * ROWS * (ACROSS + 1u)>;
var<workgroup> scores: array<f32, TILE_KEYS * ROWS>;
/// Of the groups, at the end.
var<workgroup> peaks: array<f32, GROUPS * ROWS>;
var<workgroup> totals: array<f32, GROUPS * ROWS>;
var<workgroup> merged: array<vec4f, LANES * WIDE>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let split = tile_id.x;
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let part = index / ACROSS;
  let lane = index % ACROSS;
  var query: array<vec4f, ROWS * WIDE>;
  for (var r = 0u; r < ROWS; r++) { // unroll
    for (var n = 0u; n < WIDE; n++) { // unroll
      let quad = lane + ACROSS * n;
      let some = q4(placeOf(b, kvHead, min(r, args.rows - 1u)), min(quad, QUADS - 1u));
      query[r * WIDE + n] = select(vec4f(), some, quad < QUADS);
    }
  }
  let lastQuery = args.queries - 1u;
  let end = endFor(b, lastQuery);
  let begin = min(beginFor(b, 0u), end) / TILE_KEYS;
  let count = (end + TILE_KEYS - 1u) / TILE_KEYS - min(begin, (end + TILE_KEYS - 1u) / TILE_KEYS);
  let perSplit = (count + args.splits - 1u) / args.splits;
  let firstTile = begin + split * perSplit;
  let lastTile = min(firstTile + perSplit, begin + count);

  var sums: array<vec4f, ROWS * WIDE>;
  var peak: array<f32, ROWS>;
  var total: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) { // unroll
    peak[r] = NONE;
  }
  for (var tile = firstTile; tile < lastTile; tile++) {
    let key = tile * TILE_KEYS;
    var keys: array<vec4f, EACH * WIDE>;
    var values: array<vec4f, EACH * WIDE>;
    for (var e = 0u; e < EACH; e++) { // unroll
      for (var n = 0u; n < WIDE; n++) { // unroll
        keys[e * WIDE + n] = k4(keyPlace(b, kvHead, key + GROUPS * e + part), min(lane + ACROSS * n, QUADS - 1u));
      }
    }
    for (var e = 0u; e < EACH; e++) { // unroll
      for (var n = 0u; n < WIDE; n++) { // unroll
        values[e * WIDE + n] = v4(keyPlace(b, kvHead, key + GROUPS * e + part), min(lane + ACROSS * n, QUADS - 1u));
      }
    }
    for (var e = 0u; e < EACH; e++) { // unroll
      for (var r = 0u; r < ROWS; r++) { // unroll
        var product = 0.0;
        for (var n = 0u; n < WIDE; n++) { // unroll
          product += dot(query[r * WIDE + n], keys[e * WIDE + n]);
        }
        parts[((GROUPS * e + part) * ROWS + r) * (ACROSS + 1u) + lane] = product;
      }
    }
    workgroupBarrier();
    let border = BOUNDED || !seenByAll(b, lastQuery, key);
    for (var i = index; i < TILE_KEYS * ROWS; i += LANES) {
      var product = 0.0;
      for (var n = 0u; n < ACROSS; n++) {
        product += parts[i * (ACROSS + 1u) + n];
      }
      var score = scoreOf(product);
      if (border) {
        score = select(NONE, score, sees(boundsOf(b, i % ROWS), b, key + i / ROWS));
      }
      scores[i] = score;
    }
    workgroupBarrier();
    for (var r = 0u; r < ROWS; r++) { // unroll
      var most = peak[r];
      for (var e = 0u; e < EACH; e++) { // unroll
        most = max(most, scores[(GROUPS * e + part) * ROWS + r]);
      }
      let factor = powerBelow(peak[r] - most);
      peak[r] = most;
      total[r] *= factor;
      for (var n = 0u; n < WIDE; n++) { // unroll
        sums[r * WIDE + n] *= factor;
      }
      for (var e = 0u; e < EACH; e++) { // unroll
        let score = scores[(GROUPS * e + part) * ROWS + r];
        let weight = select(powerBelow(score - most), 0.0, score <= -2.9e38);
        total[r] += weight;
        // What lies behind the last key is there but not seen; it may be anything, so that 0 times it is no rule.
        if (!border || key + GROUPS * e + part < end) {
          for (var n = 0u; n < WIDE; n++) { // unroll
            sums[r * WIDE + n] += weight * values[e * WIDE + n];
          }
        }
      }
    }
  }

  if (lane == 0u) {
    for (var r = 0u; r < ROWS; r++) { // unroll
      peaks[part * ROWS + r] = peak[r];
      totals[part * ROWS + r] = total[r];
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) { // unroll
    var most = NONE;
    for (var g = 0u; g < GROUPS; g++) {
      most = max(most, peaks[g * ROWS + r]);
    }
    var weight = 0.0;
    for (var g = 0u; g < GROUPS; g++) {
      weight += powerBelow(peaks[g * ROWS + r] - most) * totals[g * ROWS + r];
    }
    let factor = powerBelow(peak[r] - most);
    workgroupBarrier();
    for (var n = 0u; n < WIDE; n++) { // unroll
      merged[index * WIDE + n] = factor * sums[r * WIDE + n];
    }
    workgroupBarrier();
    if (part == 0u && r < args.rows) {
      let place = placeOf(b, kvHead, r);
      if (lane == 0u) {
        storeStats(place, split, most, weight);
      }
      let scale = select(select(1.0 / weight, 0.0, weight == 0.0), 1.0, SPLIT);
      let to = (split * args.batch * args.queries * args.heads + place) * args.headDim;
      for (var n = 0u; n < WIDE; n++) { // unroll
        var value = vec4f();
        for (var g = 0u; g < GROUPS; g++) {
          value += merged[(g * ACROSS + lane) * WIDE + n];
        }
        for (var i = 0u; i < 4u; i++) { // unroll
          let channel = 4u * (lane + ACROSS * n) + i;
          if (channel < args.headDim) {
            y[to + channel] = scale * value[i];
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

/// Whether all queries see every key of a tile.
fn seenByAll(b: u32, lastQuery: u32, key: u32) -> bool {
  let last = i32(key + TILE_KEYS) - 1;
  let low = plainBounds(positionOf(b, 0u), 0, i32(args.keys));
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
