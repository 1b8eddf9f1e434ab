// The gradients of attention (arXiv 2307.08691, algorithm 2) on float32 lanes, without sums that two workgroups share:
// a workgroup keeps a tile of one side and walks over the other, and this runs once for each side.
//
// - of queries: 32 rows stay, keys move: dq.
// - of keys (OF_KEYS): 32 keys stay, rows move: dk and dv, over all heads that share a head of keys.
//
// With `a` for what stays and `b` for what moves, of q and dy or of k and v:
//
//     S = a b'     dP = a2 b2'     P = 2^(S - logSumExp)     dS = P (dP - Δ) cap'     da += dS b     da2 += P b2
//
// 128 lanes as 8 × 16: a lane has four neighbouring places of what stays, with which it forms products of COLUMNS of
// what moves (16 apart) and WIDE quads of channels of the gradients (16 apart). P and dS pass through workgroup memory.
// Operations: 7 products, two of them done twice.
// link: heads-backward-{quads,singles}, attention-mask, attention-scores, power-below

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
  scale: f32, // of q · k
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> q: array<Channels>; // [batch, queries, heads, headDim]
@group(0) @binding(2) var<storage, read> k: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(3) var<storage, read> v: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(4) var<storage, read> dy: array<Channels>; // [batch, queries, heads, headDim]
@group(0) @binding(5) var<storage, read> rows: array<vec2f>; // [batch, queries, heads], see attention-rows.wgsl
@group(0) @binding(6) var<storage, read> bounds: array<i32>; // see lib/attention-mask.wgsl
@group(0) @binding(7) var<storage, read_write> first: array<f32>; // dq or dk
@group(0) @binding(8) var<storage, read_write> second: array<f32>; // dv

const QUADS: u32 = 16u; // constant
const COLUMNS: u32 = 1u; // constant
const WIDE: u32 = 1u; // constant
override OF_KEYS: bool = false;
/// Whether what stays, and what moves, passes through workgroup memory. Otherwise lanes read it as it is.
override STAGE_STAYING: bool = true;
override STAGE_MOVING: bool = true;

const LANES = 128u;
const TILE = 32u;
const STEP = 16u * COLUMNS;
/// vec4s from place to place: one more than it has channels, against bank conflicts.
const STRIDE = QUADS + 1u;

var<workgroup> staying: array<vec4f, select(1u, 2u * TILE * QUADS, STAGE_STAYING)>;
var<workgroup> moving: array<vec4f, select(1u, 2u * STEP * STRIDE, STAGE_MOVING)>;
var<workgroup> weights: array<vec4f, select(1u, STEP * 8u, OF_KEYS)>; // P, by what moves
var<workgroup> changes: array<vec4f, STEP * 8u>; // dS likewise

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let begin = tile_id.x * TILE;
  let down = index / 16u;
  let across = index % 16u;
  let own = begin + 4u * down;
  let stays = select(args.rows, args.keys, OF_KEYS);
  if (STAGE_STAYING) {
    for (var i = index; i < TILE * QUADS; i += LANES) {
      let place = min(begin + i / QUADS, stays - 1u);
      staying[i] = quadOf(OF_KEYS, false, b, kvHead, place, i % QUADS);
      staying[TILE * QUADS + i] = quadOf(OF_KEYS, true, b, kvHead, place, i % QUADS);
    }
  }

  let last = min(begin + TILE, stays) - 1u;
  let range = select(keyRange(b, begin, last), rowRange(b, begin, last), OF_KEYS);
  var sums: array<vec4f, 4u * WIDE>;
  var others: array<vec4f, 4u * WIDE>;
  for (var at = range.x / STEP * STEP; at < range.y; at += STEP) {
    workgroupBarrier();
    if (STAGE_MOVING) {
      for (var i = index; i < STEP * QUADS; i += LANES) {
        let to = i / QUADS * STRIDE + i % QUADS;
        moving[to] = movingQuad(false, b, kvHead, at + i / QUADS, i % QUADS, range.y);
        moving[STEP * STRIDE + to] = movingQuad(true, b, kvHead, at + i / QUADS, i % QUADS, range.y);
      }
      workgroupBarrier();
    }
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      let column = across + 16u * c;
      // Four products of what stays with one place of what moves.
      var score = vec4f();
      var product = vec4f();
      for (var quad = 0u; quad < QUADS; quad++) {
        var one: vec4f;
        var other: vec4f;
        if (STAGE_MOVING) {
          one = moving[column * STRIDE + quad];
          other = moving[STEP * STRIDE + column * STRIDE + quad];
        } else {
          one = movingQuad(false, b, kvHead, at + column, quad, range.y);
          other = movingQuad(true, b, kvHead, at + column, quad, range.y);
        }
        if (STAGE_STAYING) {
          let to = 4u * down * QUADS + quad;
          score += vec4f(
            dot(staying[to], one),
            dot(staying[to + QUADS], one),
            dot(staying[to + 2u * QUADS], one),
            dot(staying[to + 3u * QUADS], one),
          );
          let next = TILE * QUADS + to;
          product += vec4f(
            dot(staying[next], other),
            dot(staying[next + QUADS], other),
            dot(staying[next + 2u * QUADS], other),
            dot(staying[next + 3u * QUADS], other),
          );
        } else {
          score += vec4f(
            dot(stayingQuad(false, b, kvHead, own, quad, stays), one),
            dot(stayingQuad(false, b, kvHead, own + 1u, quad, stays), one),
            dot(stayingQuad(false, b, kvHead, own + 2u, quad, stays), one),
            dot(stayingQuad(false, b, kvHead, own + 3u, quad, stays), one),
          );
          product += vec4f(
            dot(stayingQuad(true, b, kvHead, own, quad, stays), other),
            dot(stayingQuad(true, b, kvHead, own + 1u, quad, stays), other),
            dot(stayingQuad(true, b, kvHead, own + 2u, quad, stays), other),
            dot(stayingQuad(true, b, kvHead, own + 3u, quad, stays), other),
          );
        }
      }
      let pair = differentiate(b, kvHead, own, at + column, stays, score, product);
      if (OF_KEYS) {
        weights[column * 8u + down] = pair.weight;
      }
      changes[column * 8u + down] = pair.change;
    }
    workgroupBarrier();
    for (var j = 0u; j < min(STEP, range.y - at); j++) {
      let change = changes[j * 8u + down];
      for (var n = 0u; n < WIDE; n++) { // unroll
        let quad = across + 16u * n;
        if (quad < QUADS) {
          var value: vec4f;
          if (STAGE_MOVING) {
            value = moving[j * STRIDE + quad];
          } else {
            value = movingQuad(false, b, kvHead, at + j, quad, range.y);
          }
          sums[n] += change.x * value;
          sums[WIDE + n] += change.y * value;
          sums[2u * WIDE + n] += change.z * value;
          sums[3u * WIDE + n] += change.w * value;
          if (OF_KEYS) {
            let weight = weights[j * 8u + down];
            if (STAGE_MOVING) {
              value = moving[STEP * STRIDE + j * STRIDE + quad];
            } else {
              value = movingQuad(true, b, kvHead, at + j, quad, range.y);
            }
            others[n] += weight.x * value;
            others[WIDE + n] += weight.y * value;
            others[2u * WIDE + n] += weight.z * value;
            others[3u * WIDE + n] += weight.w * value;
          }
        }
      }
    }
  }
  for (var r = 0u; r < 4u; r++) { // unroll
    if (own + r < stays) {
      let to = placeOf(OF_KEYS, b, kvHead, own + r) * args.headDim;
      for (var n = 0u; n < WIDE; n++) { // unroll
        for (var i = 0u; i < 4u; i++) { // unroll
          let channel = 4u * (across + 16u * n) + i;
          if (channel < args.headDim) {
            first[to + channel] = args.scale * sums[r * WIDE + n][i];
            if (OF_KEYS) {
              second[to + channel] = others[r * WIDE + n][i];
            }
          }
        }
      }
    }
  }
}

/// The place of a key, or of a row among those of all heads.
fn placeOf(key: bool, b: u32, kvHead: u32, row: u32) -> u32 {
  let ofKey = (b * args.keys + row) * args.kvHeads + kvHead;
  let ofRow = (b * args.queries + row / args.group) * args.heads + kvHead * args.group + row % args.group;
  return select(ofRow, ofKey, key);
}

/// Four channels of q or dy, or of k or v: of the second of a pair where `other`.
fn quadOf(key: bool, other: bool, b: u32, kvHead: u32, row: u32, quad: u32) -> vec4f {
  let place = placeOf(key, b, kvHead, row);
  if (key) {
    if (other) {
      return v4(place, quad);
    }
    return k4(place, quad);
  }
  if (other) {
    return dy4(place, quad);
  }
  return q4(place, quad);
}

fn stayingQuad(other: bool, b: u32, kvHead: u32, row: u32, quad: u32, stays: u32) -> vec4f {
  return quadOf(OF_KEYS, other, b, kvHead, min(row, stays - 1u), quad);
}

/// A quad of what moves, 0 from `end` on, so that what lies there reaches nothing.
fn movingQuad(other: bool, b: u32, kvHead: u32, row: u32, quad: u32, end: u32) -> vec4f {
  if (row >= end) {
    return vec4f();
  }
  return quadOf(!OF_KEYS, other, b, kvHead, row, quad);
}

/// The keys that rows from the first to the last see some of.
fn keyRange(b: u32, begin: u32, last: u32) -> vec2u {
  return vec2u(beginFor(b, begin / args.group), endFor(b, last / args.group));
}

/// The rows that see some of the keys from the first to the last.
fn rowRange(b: u32, begin: u32, last: u32) -> vec2u {
  let position = positionOf(b, 0u);
  var low = 0;
  var high = i32(args.queries);
  if (args.causal != 0u) {
    low = clamp(i32(begin) - position, 0, high);
  }
  if (args.window > 0 && args.globalTokens == 0) {
    high = clamp(i32(last) + args.window - position, 0, high);
  }
  return vec2u(u32(low), u32(max(low, high))) * args.group;
}

/// P and dS of four products.
struct Pair {
  weight: vec4f,
  change: vec4f,
}

/// Four places of what stays, from `own` on, with one of what moves.
fn differentiate(b: u32, kvHead: u32, own: u32, other: u32, stays: u32, score: vec4f, product: vec4f) -> Pair {
  var pair: Pair;
  pair.weight = vec4f();
  pair.change = vec4f();
  if (OF_KEYS) {
    let moves = min(other, args.rows - 1u);
    let row = rows[placeOf(false, b, kvHead, moves)];
    let sight = boundsOf(b, moves);
    for (var i = 0u; i < 4u; i++) { // unroll
      if (own + i < stays && other < args.rows && sees(sight, b, own + i)) {
        let one = differentiateOne(score[i], product[i], row);
        pair.weight[i] = one.x;
        pair.change[i] = one.y;
      }
    }
    return pair;
  }
  for (var i = 0u; i < 4u; i++) { // unroll
    let row = min(own + i, args.rows - 1u);
    if (own + i < stays && other < args.keys && sees(boundsOf(b, row), b, other)) {
      pair.change[i] = differentiateOne(score[i], product[i], rows[placeOf(false, b, kvHead, row)]).y;
    }
  }
  return pair;
}

fn differentiateOne(score: f32, product: f32, row: vec2f) -> vec2f {
  var value = args.factor * score;
  var slope = 1.0;
  if (CAPPED) {
    let t = tanhOf(value);
    slope = 1.0 - t * t;
    value = args.cap * t;
  }
  let weight = powerBelow(value - row.x);
  return vec2f(weight, weight * (product - row.y) * slope);
}
