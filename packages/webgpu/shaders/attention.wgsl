// Softmax attention on float32 lanes (arXiv 2307.08691): a workgroup takes TILE_ROWS rows of a head of keys and walks
// over the keys, TILE_KEYS at a time, with the largest scores and the sums of weights up to date. Nothing of the size
// queries × keys is written. See lib/attention-mask.wgsl for rows.
//
// 128 lanes as 8 × 16: a lane has ROWS neighbouring rows, of which it forms scores with KEYS keys (16 apart) and WIDE
// quads of channels of the results (16 apart). Weights pass through workgroup memory with rows in vec4s, so that the
// softmax of four rows runs in one lane without shuffles: PARTS lanes share the keys of four rows.
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
const ROWS: u32 = 8u; // constant
const KEYS: u32 = 2u; // constant
const WIDE: u32 = 1u; // constant
const QUARTERS: u32 = 2u; // constant
/// Whether queries, and keys and values, pass through workgroup memory. Otherwise lanes read them as they are.
override STAGE_QUERIES: bool = true;
override STAGE_KEYS: bool = true;
override SPLIT: bool = false;

const LANES = 128u;
const TILE_ROWS = 8u * ROWS;
const TILE_KEYS = 16u * KEYS;
/// Quads of rows of a tile, and lanes that share the keys of one.
const ROW_QUADS = 2u * ROWS;
const PARTS: u32 = 4u;
const PART_KEYS = TILE_KEYS / PARTS;
/// vec4s from key to key: one more than a key has, against bank conflicts.
const STRIDE = QUADS + 1u;
/// Less than any score.
const NONE = -3.0e38;

var<workgroup> queries: array<vec4f, select(1u, TILE_ROWS * QUADS, STAGE_QUERIES)>;
var<workgroup> staged: array<vec4f, select(1u, TILE_KEYS * STRIDE, STAGE_KEYS)>;
var<workgroup> weights: array<vec4f, TILE_KEYS * ROW_QUADS>; // by keys
var<workgroup> shares: array<vec4f, PARTS * ROW_QUADS>;
var<workgroup> factors: array<vec4f, ROW_QUADS>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let tiles = (args.rows + TILE_ROWS - 1u) / TILE_ROWS;
  // The last rows see the most keys where the call is causal: they begin first.
  let first = (tiles - 1u - tile_id.x / args.splits) * TILE_ROWS;
  let split = tile_id.x % args.splits;
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let down = index / 16u;
  let across = index % 16u;
  let ownRow = first + down * ROWS;
  if (STAGE_QUERIES) {
    for (var i = index; i < TILE_ROWS * QUADS; i += LANES) {
      queries[i] = q4(placeOf(b, kvHead, min(first + i / QUADS, args.rows - 1u)), i % QUADS);
    }
  }

  let firstQuery = first / args.group;
  let lastQuery = min(first + TILE_ROWS, args.rows) - 1u;
  let end = endFor(b, lastQuery / args.group);
  let begin = min(beginFor(b, firstQuery), end) / TILE_KEYS;
  let count = (end + TILE_KEYS - 1u) / TILE_KEYS - min(begin, (end + TILE_KEYS - 1u) / TILE_KEYS);
  let perSplit = (count + args.splits - 1u) / args.splits;
  let firstTile = begin + split * perSplit;
  let lastTile = min(firstTile + perSplit, begin + count);

  var sums: array<vec4f, ROWS * WIDE>;
  // Of the rows that this lane makes weights of.
  let rowQuad = index % ROW_QUADS;
  let part = index / ROW_QUADS;
  let weighs = part < PARTS;
  let own = boundsOfFour(b, first + 4u * rowQuad);
  var peak = vec4f(NONE);
  var total = vec4f();
  for (var tile = firstTile; tile < lastTile; tile++) {
    let key = tile * TILE_KEYS;
    workgroupBarrier();
    if (STAGE_KEYS) {
      for (var i = index; i < TILE_KEYS * QUADS; i += LANES) {
        staged[i / QUADS * STRIDE + i % QUADS] = quadOfKey(b, kvHead, key + i / QUADS, i % QUADS, end);
      }
      workgroupBarrier();
    }
    var scores: array<f32, ROWS * KEYS>;
    // Without this, Dawn's compiler makes zeros of it before the loop alone.
    for (var r = 0u; r < ROWS; r++) { // unroll
      for (var c = 0u; c < KEYS; c++) { // unroll
        scores[r * KEYS + c] = 0.0;
      }
    }
    for (var quad = 0u; quad < QUADS; quad++) {
      var keys: array<vec4f, KEYS>;
      for (var c = 0u; c < KEYS; c++) { // unroll
        if (STAGE_KEYS) {
          keys[c] = staged[(across + 16u * c) * STRIDE + quad];
        } else {
          keys[c] = quadOfKey(b, kvHead, key + across + 16u * c, quad, end);
        }
      }
      for (var r = 0u; r < ROWS; r++) { // unroll
        var query: vec4f;
        if (STAGE_QUERIES) {
          query = queries[(down * ROWS + r) * QUADS + quad];
        } else {
          query = q4(placeOf(b, kvHead, min(ownRow + r, args.rows - 1u)), quad);
        }
        for (var c = 0u; c < KEYS; c++) { // unroll
          scores[r * KEYS + c] += dot(query, keys[c]);
        }
      }
    }
    for (var r = 0u; r < ROWS; r++) { // unroll
      for (var c = 0u; c < KEYS; c++) { // unroll
        let score = scoreOf(scores[r * KEYS + c]);
        scores[r * KEYS + c] = score;
      }
    }
    for (var c = 0u; c < KEYS; c++) { // unroll
      let to = (across + 16u * c) * ROW_QUADS + down * QUARTERS;
      for (var i = 0u; i < QUARTERS; i++) { // unroll
        weights[to + i] = vec4f(
          scores[(4u * i) * KEYS + c],
          scores[(4u * i + 1u) * KEYS + c],
          scores[(4u * i + 2u) * KEYS + c],
          scores[(4u * i + 3u) * KEYS + c],
        );
      }
    }
    workgroupBarrier();
    if (STAGE_KEYS) {
      for (var i = index; i < TILE_KEYS * QUADS; i += LANES) {
        staged[i / QUADS * STRIDE + i % QUADS] = quadOfValue(b, kvHead, key + i / QUADS, i % QUADS, end);
      }
    }
    if (weighs) {
      let border = BOUNDED || !seenByAll(b, firstQuery, lastQuery / args.group, key);
      var most = vec4f(NONE);
      for (var j = 0u; j < PART_KEYS; j++) {
        let at = (part * PART_KEYS + j) * ROW_QUADS + rowQuad;
        if (border) {
          weights[at] = select(vec4f(NONE), weights[at], fourSee(own, b, key + part * PART_KEYS + j));
        }
        most = max(most, weights[at]);
      }
      shares[part * ROW_QUADS + rowQuad] = most;
    }
    workgroupBarrier();
    if (weighs) {
      var most = peak;
      for (var i = 0u; i < PARTS; i++) { // unroll
        most = max(most, shares[i * ROW_QUADS + rowQuad]);
      }
      let factor = powersBelow(peak - most);
      var weight = vec4f();
      for (var j = 0u; j < PART_KEYS; j++) {
        let at = (part * PART_KEYS + j) * ROW_QUADS + rowQuad;
        let score = weights[at];
        let power = select(powersBelow(score - most), vec4f(), score <= vec4f(-2.9e38));
        weights[at] = power;
        weight += power;
      }
      total = total * factor + weight;
      peak = most;
      if (part == 0u) {
        factors[rowQuad] = factor;
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < QUARTERS; i++) { // unroll
      let factor = factors[down * QUARTERS + i];
      for (var n = 0u; n < WIDE; n++) { // unroll
        sums[(4u * i) * WIDE + n] *= factor.x;
        sums[(4u * i + 1u) * WIDE + n] *= factor.y;
        sums[(4u * i + 2u) * WIDE + n] *= factor.z;
        sums[(4u * i + 3u) * WIDE + n] *= factor.w;
      }
    }
    let last = min(TILE_KEYS, end - key);
    for (var j = 0u; j < last; j++) {
      for (var n = 0u; n < WIDE; n++) { // unroll
        let quad = across + 16u * n;
        if (quad < QUADS) {
          var value: vec4f;
          if (STAGE_KEYS) {
            value = staged[j * STRIDE + quad];
          } else {
            value = quadOfValue(b, kvHead, key + j, quad, end);
          }
          for (var i = 0u; i < QUARTERS; i++) { // unroll
            let weight = weights[j * ROW_QUADS + down * QUARTERS + i];
            sums[(4u * i) * WIDE + n] += weight.x * value;
            sums[(4u * i + 1u) * WIDE + n] += weight.y * value;
            sums[(4u * i + 2u) * WIDE + n] += weight.z * value;
            sums[(4u * i + 3u) * WIDE + n] += weight.w * value;
          }
        }
      }
    }
  }

  workgroupBarrier();
  if (weighs) {
    shares[part * ROW_QUADS + rowQuad] = total;
  }
  workgroupBarrier();
  if (weighs && part == 0u) {
    total = (shares[rowQuad] + shares[ROW_QUADS + rowQuad])
      + (shares[2u * ROW_QUADS + rowQuad] + shares[3u * ROW_QUADS + rowQuad]);
    factors[rowQuad] = total;
    for (var i = 0u; i < 4u; i++) {
      storeStats(b, kvHead, first + 4u * rowQuad + i, split, peak[i], total[i]);
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) { // unroll
    let row = ownRow + r;
    if (row < args.rows) {
      let weight = factors[down * QUARTERS + r / 4u][r % 4u];
      let scale = select(select(1.0 / weight, 0.0, weight == 0.0), 1.0, SPLIT);
      let to = (split * args.batch * args.queries * args.heads + placeOf(b, kvHead, row)) * args.headDim;
      for (var n = 0u; n < WIDE; n++) { // unroll
        let value = sums[r * WIDE + n] * scale;
        for (var i = 0u; i < 4u; i++) { // unroll
          let channel = 4u * (across + 16u * n) + i;
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

/// A quad of a key, 0 behind the last one, so that what lies there reaches nothing.
fn quadOfKey(b: u32, kvHead: u32, key: u32, quad: u32, end: u32) -> vec4f {
  let row = (b * args.keys + min(key, args.keys - 1u)) * args.kvHeads + kvHead;
  return select(vec4f(), k4(row, quad), key < end);
}

fn quadOfValue(b: u32, kvHead: u32, key: u32, quad: u32, end: u32) -> vec4f {
  let row = (b * args.keys + min(key, args.keys - 1u)) * args.kvHeads + kvHead;
  return select(vec4f(), v4(row, quad), key < end);
}

/// Whether all queries from the first to the last see every key of a tile.
fn seenByAll(b: u32, firstQuery: u32, lastQuery: u32, key: u32) -> bool {
  let last = i32(key + TILE_KEYS) - 1;
  let low = plainBounds(positionOf(b, firstQuery), 0, i32(args.keys));
  let high = plainBounds(positionOf(b, lastQuery), 0, i32(args.keys));
  return i32(key) >= high.begin && last <= low.end;
}

fn storeStats(b: u32, kvHead: u32, row: u32, split: u32, most: f32, weight: f32) {
  if (row >= args.rows) {
    return;
  }
  let place = placeOf(b, kvHead, row);
  if (SPLIT) {
    let at = 2u * (split * args.batch * args.queries * args.heads + place);
    stats[at] = most;
    stats[at + 1u] = weight;
  } else {
    stats[place] = logSumExp(most, weight);
  }
}
