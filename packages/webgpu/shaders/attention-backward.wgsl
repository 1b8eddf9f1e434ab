// The gradients of attention (arXiv 2307.08691, algorithm 2) on float32 lanes, without sums that two workgroups share:
// a workgroup keeps a tile of one side and walks over the other, and this runs once for each side.
//
// - of queries: TILE rows stay, keys move: dq.
// - of keys (OF_KEYS): TILE keys stay, rows move: dk and dv, over all heads that share a head of keys.
//
// With `a` for what stays and `b` for what moves, of q and dy or of k and v:
//
//     S = a b'     dP = a2 b2'     P = 2^(S - logSumExp)     dS = P (dP - Δ) cap'     da += dS b     da2 += P b2
//
// Lanes lie as DOWN × ACROSS, as in attention.wgsl: a lane has four neighbouring places of what stays, with which it
// forms products of COLUMNS of what moves (ACROSS apart) and WIDE quads of channels of the gradients (ACROSS apart).
// What stays is read from memory, where the first-level cache holds it; P and dS pass through workgroup memory.
// Operations: 7 products, two of them done twice.
// link: heads-backward-{quads,singles}, attention-mask, attention-scores, power-below, dot-onto

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
const DOWN: u32 = 16u; // constant
const ACROSS: u32 = 8u; // constant
const COLUMNS: u32 = 4u; // constant
const WIDE: u32 = 2u; // constant
/// Quads of each operand that a lane brings to a tile of what moves.
const BROUGHT: u32 = 4u; // constant
/// Quads of channels, and places of what moves, whose products are written out: divisors of QUADS and of STEP.
const TOGETHER: u32 = 2u; // constant
const PLACES_TOGETHER: u32 = 4u; // constant
override OF_KEYS: bool = false;
/// Whether what moves passes through workgroup memory. Otherwise lanes read it as it is.
override STAGE_MOVING: bool = true;

const LANES = DOWN * ACROSS;
const TILE = 4u * DOWN;
const STEP = ACROSS * COLUMNS;
/// vec4s from place to place of what moves, and of P and dS: one more than there are, against bank conflicts.
const STRIDE = QUADS + 1u;
const PITCH = DOWN + 1u;

var<workgroup> moving: array<vec4f, select(1u, 2u * STEP * STRIDE, STAGE_MOVING)>;
var<workgroup> weights: array<vec4f, select(1u, STEP * PITCH, OF_KEYS)>; // P, by what moves
var<workgroup> changes: array<vec4f, STEP * PITCH>; // dS likewise

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let down = index / ACROSS;
  let across = index % ACROSS;
  let stays = select(args.rows, args.keys, OF_KEYS);
  // Where the call is causal, the last rows and the first keys have the most work: they begin first.
  let begin = select((stays + TILE - 1u) / TILE - 1u - tile_id.x, tile_id.x, OF_KEYS) * TILE;
  let own = begin + 4u * down;
  var places: array<u32, 4>;
  // Of rows that stay.
  var logSums = vec4f();
  var deltas = vec4f();
  for (var r = 0u; r < 4u; r++) { // unroll
    places[r] = placeOf(OF_KEYS, b, kvHead, min(own + r, stays - 1u));
    if (!OF_KEYS) {
      let row = rows[places[r]];
      logSums[r] = row.x;
      deltas[r] = row.y;
    }
  }

  let last = min(begin + TILE, stays) - 1u;
  let range = select(keyRange(b, begin, last), rowRange(b, begin, last), OF_KEYS);
  var sums: array<vec4f, 4u * WIDE>;
  var others: array<vec4f, 4u * WIDE>;
  for (var at = range.x / STEP * STEP; at < range.y; at += STEP) {
    workgroupBarrier();
    if (STAGE_MOVING) {
      // All loads are on their way before the first of them is stored.
      var one: array<vec4f, BROUGHT>;
      var other: array<vec4f, BROUGHT>;
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        one[n] = movingQuad(false, b, kvHead, at + i / QUADS, i % QUADS, range.y);
        other[n] = movingQuad(true, b, kvHead, at + i / QUADS, i % QUADS, range.y);
      }
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        let i = index + n * LANES;
        if (STEP * QUADS % LANES == 0u || i < STEP * QUADS) {
          moving[i / QUADS * STRIDE + i % QUADS] = one[n];
          moving[STEP * STRIDE + i / QUADS * STRIDE + i % QUADS] = other[n];
        }
      }
      workgroupBarrier();
    }
    // Of four places that stay with each that moves.
    var scores: array<vec4f, COLUMNS>;
    var products: array<vec4f, COLUMNS>;
    // Without this, Dawn's compiler makes zeros of them before the loop alone.
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      scores[c] = vec4f();
      products[c] = vec4f();
    }
    for (var some = 0u; some < QUADS / TOGETHER; some++) {
      for (var t = 0u; t < TOGETHER; t++) { // unroll
        let quad = TOGETHER * some + t;
        let ones = mat4x4f(
          stayingQuad(false, places[0], quad),
          stayingQuad(false, places[1], quad),
          stayingQuad(false, places[2], quad),
          stayingQuad(false, places[3], quad),
        );
        let twos = mat4x4f(
          stayingQuad(true, places[0], quad),
          stayingQuad(true, places[1], quad),
          stayingQuad(true, places[2], quad),
          stayingQuad(true, places[3], quad),
        );
        for (var c = 0u; c < COLUMNS; c++) { // unroll
          var one: vec4f;
          var other: vec4f;
          if (STAGE_MOVING) {
            one = moving[(across + ACROSS * c) * STRIDE + quad];
            other = moving[STEP * STRIDE + (across + ACROSS * c) * STRIDE + quad];
          } else {
            one = movingQuad(false, b, kvHead, at + across + ACROSS * c, quad, range.y);
            other = movingQuad(true, b, kvHead, at + across + ACROSS * c, quad, range.y);
          }
          for (var r = 0u; r < 4u; r++) { // unroll
            scores[c][r] = dotOnto(ones[r], one, scores[c][r]);
            products[c][r] = dotOnto(twos[r], other, products[c][r]);
          }
        }
      }
    }
    let border = BOUNDED || !allSee(b, begin, at, stays);
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      let other = at + across + ACROSS * c;
      var seen = vec4<bool>(true);
      if (border) {
        if (OF_KEYS) {
          seen = seesFour(boundsOf(b, other), b, own);
        } else {
          seen = fourSee(boundsOfFour(b, own), b, other);
        }
      }
      if (OF_KEYS) {
        let row = rows[placeOf(false, b, kvHead, min(other, args.rows - 1u))];
        logSums = vec4f(row.x);
        deltas = vec4f(row.y);
      }
      var value = args.factor * scores[c];
      var slope = vec4f(1.0);
      if (CAPPED) {
        let t = vec4f(tanhOf(value.x), tanhOf(value.y), tanhOf(value.z), tanhOf(value.w));
        slope = 1.0 - t * t;
        value = args.cap * t;
      }
      let weight = select(vec4f(), powersBelow(value - logSums), seen);
      changes[(across + ACROSS * c) * PITCH + down] =
        select(vec4f(), weight * (products[c] - deltas) * slope, seen);
      if (OF_KEYS) {
        weights[(across + ACROSS * c) * PITCH + down] = weight;
      }
    }
    workgroupBarrier();
    for (var some = 0u; some < STEP / PLACES_TOGETHER; some++) {
      for (var t = 0u; t < PLACES_TOGETHER; t++) { // unroll
        let j = PLACES_TOGETHER * some + t;
        let change = changes[j * PITCH + down];
        for (var n = 0u; n < WIDE; n++) { // unroll
          let quad = min(across + ACROSS * n, QUADS - 1u);
          var value: vec4f;
          if (STAGE_MOVING) {
            value = moving[j * STRIDE + quad];
          } else {
            value = movingQuad(false, b, kvHead, at + j, quad, range.y);
          }
          for (var r = 0u; r < 4u; r++) { // unroll
            sums[r * WIDE + n] = change[r] * value + sums[r * WIDE + n];
          }
          if (OF_KEYS) {
            let weight = weights[j * PITCH + down];
            if (STAGE_MOVING) {
              value = moving[STEP * STRIDE + j * STRIDE + quad];
            } else {
              value = movingQuad(true, b, kvHead, at + j, quad, range.y);
            }
            for (var r = 0u; r < 4u; r++) { // unroll
              others[r * WIDE + n] = weight[r] * value + others[r * WIDE + n];
            }
          }
        }
      }
    }
  }
  for (var r = 0u; r < 4u; r++) { // unroll
    if (own + r < stays) {
      let to = places[r] * args.headDim;
      for (var n = 0u; n < WIDE; n++) { // unroll
        for (var i = 0u; i < 4u; i++) { // unroll
          let channel = 4u * (across + ACROSS * n) + i;
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
fn quadAt(key: bool, other: bool, place: u32, quad: u32) -> vec4f {
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

/// Four channels of a place that stays: of the second of a pair where `other`.
fn stayingQuad(other: bool, place: u32, quad: u32) -> vec4f {
  return quadAt(OF_KEYS, other, place, quad);
}

/// A quad of what moves, 0 from `end` on, so that what lies there reaches nothing.
fn movingQuad(other: bool, b: u32, kvHead: u32, row: u32, quad: u32, end: u32) -> vec4f {
  if (row >= end) {
    return vec4f();
  }
  return quadAt(!OF_KEYS, other, placeOf(!OF_KEYS, b, kvHead, row), quad);
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

/// Whether each row of a tile sees each of its keys, where what stays begins at `begin`, and what moves at `at`.
fn allSee(b: u32, begin: u32, at: u32, stays: u32) -> bool {
  let moves = select(args.keys, args.rows, OF_KEYS);
  if (begin + TILE > stays || at + STEP > moves) {
    return false;
  }
  let row = select(begin, at, OF_KEYS);
  let rowsCount = select(TILE, STEP, OF_KEYS);
  let key = select(at, begin, OF_KEYS);
  let keysCount = select(STEP, TILE, OF_KEYS);
  let low = plainBounds(positionOf(b, row / args.group), 0, i32(args.keys));
  let high = plainBounds(positionOf(b, (row + rowsCount - 1u) / args.group), 0, i32(args.keys));
  return i32(key) >= high.begin && i32(key + keysCount) - 1 <= low.end;
}
