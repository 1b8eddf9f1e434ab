enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// link: attention-mask, attention-scores, power-below, log-sum-exp, halves
// Softmax attention on matrix units, with float32 sums: as attention.wgsl, for 64 rows of a head of keys and 32 keys at
// a time. Four subgroups of 32 lanes have sixteen rows each, so that none waits for another's scores. A matrix is
// opaque: its rows cannot be weighed where it lies. So scores pass through workgroup memory, two lanes a row, and
// weights return there as halves. The results stay in their matrices: they are rescaled only where the largest score of
// a row grows by more than 2^8 (weights of up to 2^8 are exact in what follows, for they are divided out at the end),
// which after the first tiles hardly happens, and then through workgroup memory.
//
// Keys and values come as halves, see attention-halves.wgsl; those of the next tile are on their way to registers while
// this one is multiplied. Values have a place of their own, so that the next keys are written beside them; with PAIRS
// rests need that place, and values take the keys'.
//
// Queries are scaled before they are rounded to halves. With PAIRS every operand is a pair of halves, and what is
// multiplied in halves has the rests of both operands as well. `%` in places of matrices tells the compiler that they
// are bounded. Bytes a tile: 128 headDim of keys and values, for 8192 headDim operations; twice that with PAIRS.
//
// Other tiles were slower on an H100: 64 keys 1.3 times, 128 rows 1.1 to 1.25 times. What binds is how many workgroups
// run at once, and so their registers.

struct Args {
  batch: u32,
  queries: u32,
  keys: u32,
  heads: u32,
  kvHeads: u32,
  group: u32, // heads / kvHeads
  rows: u32, // queries · group
  headDim: u32, // a multiple of 16
  offset: i32,
  window: i32, // 0: none
  globalTokens: i32,
  causal: u32,
  factor: f32, // of q · k, in powers of two or for the cap
  cap: f32, // in powers of two; 0: none
  octets: u32, // of all keys
  zero: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> q: array<vec4f>; // [batch, queries, heads, headDim]
@group(0) @binding(2) var<storage, read> halves: array<vec4u>; // see attention-halves.wgsl
@group(0) @binding(3) var<storage, read> bounds: array<i32>; // see lib/attention-mask.wgsl
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [batch, queries, heads, headDim]
@group(0) @binding(5) var<storage, read_write> results: array<f32>; // logSumExp [batch, queries, heads]

/// Matrices side by side in the channels of a head.
const DEEP: u32 = 4u; // constant
/// Octets of keys that a lane brings to a tile.
const BROUGHT: u32 = 2u; // constant, DEEP / 2
override PAIRS: bool = false;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Result = subgroup_matrix_result<f32, 16, 16>;

const SUBGROUPS = 4u;
const LANES = 32u * SUBGROUPS;
const TILE_ROWS = 16u * SUBGROUPS;
const TILE_KEYS = 32u;
const OCTETS = 2u * DEEP;
/// vec4us from row to row of operands, of eight halves each, with one more against bank conflicts.
const ROW = OCTETS + 1u;
const OPERAND = TILE_KEYS * ROW;
/// vec4us from row to row of scores, of four float32 each, likewise; and of a subgroup's rows.
const SCORES = 9u;
const PART = 16u * SCORES;
/// The same of one matrix of results, and of one of queries.
const MOVED = 5u;
const MATRIX = 3u;
/// Less than any score.
const NONE = -3.0e38;
/// The largest score may grow by this, in powers of two, before results are rescaled.
const SLACK = 8.0;

/// Keys. Behind them values, or with PAIRS the rests of their rounding.
var<workgroup> tiles: array<vec4u, 2u * OPERAND>;
/// Scores and weights of each subgroup; queries before the first tile.
var<workgroup> weights: array<vec4u, SUBGROUPS * PART>;
/// A matrix of results that is rescaled.
var<workgroup> moved: array<vec4u, 16u * MOVED>;
var<workgroup> grown: u32;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let count = (args.rows + TILE_ROWS - 1u) / TILE_ROWS;
  // The last rows see the most keys where the call is causal: they begin first.
  let first = (count - 1u - tile_id.x) * TILE_ROWS;
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let part = subgroup % SUBGROUPS;
  // Two lanes have a row, and half of a tile's keys each.
  let side = lane % 2u;
  let ownRow = first + 16u * part + lane / 2u;
  let line = part * PART + lane / 2u * SCORES + 4u * side;
  // Queries pass through the place of scores, each subgroup's DEEP matrices of sixteen rows one after the other.
  var queries: array<Left, DEEP>;
  var rests: array<Left, DEEP>;
  for (var d = 0u; d < DEEP; d++) { // unroll
    let at = placeOf(b, kvHead, min(ownRow, args.rows - 1u)) * 4u * DEEP + 4u * d + 2u * side;
    let one = args.factor * q[at];
    let other = args.factor * q[at + 1u];
    let to = part * PART + lane / 2u * MATRIX + side;
    workgroupBarrier();
    weights[to] = packed(nearest(one), nearest(other));
    if (PAIRS) {
      weights[to + 16u * MATRIX] = packed(one - nearest(one), other - nearest(other));
    }
    workgroupBarrier();
    queries[d] = subgroupMatrixLoad<Left, row_major>(&weights, part * PART, MATRIX);
    if (PAIRS) {
      rests[d] = subgroupMatrixLoad<Left, row_major>(&weights, part * PART + 16u * MATRIX, MATRIX);
    }
  }

  let firstQuery = first / args.group;
  let lastQuery = (min(first + TILE_ROWS, args.rows) - 1u) / args.group;
  let end = endFor(b, lastQuery);
  let begin = min(beginFor(b, firstQuery), end) / TILE_KEYS;
  let tilesEnd = (end + TILE_KEYS - 1u) / TILE_KEYS;
  let place = (b * args.kvHeads + kvHead) * args.keys;
  var sums: array<Result, DEEP>;
  var peak = NONE;
  var total = 0.0;
  var keys: array<vec4u, BROUGHT>;
  var values: array<vec4u, BROUGHT>;
  var keyRests: array<vec4u, BROUGHT>;
  var valueRests: array<vec4u, BROUGHT>;
  for (var n = 0u; n < BROUGHT; n++) { // unroll
    keys[n] = octetAt(0u, place, begin * TILE_KEYS, index + LANES * n, end);
    if (PAIRS) {
      keyRests[n] = octetAt(1u, place, begin * TILE_KEYS, index + LANES * n, end);
    }
  }
  for (var n = 0u; n < BROUGHT; n++) { // unroll
    stage(0u, index + LANES * n, keys[n]);
    if (PAIRS) {
      stage(OPERAND, index + LANES * n, keyRests[n]);
    }
  }
  for (var n = 0u; n < BROUGHT; n++) { // unroll
    values[n] = octetAt(select(1u, 2u, PAIRS), place, begin * TILE_KEYS, index + LANES * n, end);
    if (PAIRS) {
      valueRests[n] = octetAt(3u, place, begin * TILE_KEYS, index + LANES * n, end);
    }
  }
  workgroupBarrier();
  for (var tile = begin; tile < tilesEnd; tile++) {
    let key = tile * TILE_KEYS;
    for (var n = 0u; n < BROUGHT; n++) { // unroll
      keys[n] = octetAt(0u, place, key + TILE_KEYS, index + LANES * n, end);
      if (PAIRS) {
        keyRests[n] = octetAt(1u, place, key + TILE_KEYS, index + LANES * n, end);
      }
    }
    for (var c = 0u; c < 2u; c++) { // unroll
      var score: Result;
      for (var d = 0u; d < DEEP; d++) { // unroll
        let right = subgroupMatrixLoad<Right, col_major>(&tiles, 16u * c * ROW + 2u * d, ROW);
        if (d == 0u) {
          score = subgroupMatrixMultiplyAccumulate(queries[0], right, Result());
        } else {
          score = subgroupMatrixMultiplyAccumulate(queries[d], right, score);
        }
        if (PAIRS) {
          score = subgroupMatrixMultiplyAccumulate(rests[d], right, score);
          let rest = subgroupMatrixLoad<Right, col_major>(&tiles, OPERAND + 16u * c * ROW + 2u * d, ROW);
          score = subgroupMatrixMultiplyAccumulate(queries[d], rest, score);
        }
      }
      subgroupMatrixStore<row_major>(&weights, part * PART + 4u * c, score, SCORES);
    }
    if (index == 0u) {
      grown = 0u;
    }
    // From here on nobody reads keys, nor the values of the last tile.
    workgroupBarrier();

    // Each lane takes its scores to registers.
    var scores: array<vec4f, 4>;
    for (var j = 0u; j < 4u; j++) { // unroll
      scores[j] = capped(bitcast<vec4f>(weights[line + j]));
    }
    if (BOUNDED || !seenByAll(b, firstQuery, lastQuery, key)) {
      // Looked up where it is needed: registers are what bounds how many workgroups run at once.
      let sight = boundsOf(b, ownRow);
      for (var j = 0u; j < 4u; j++) { // unroll
        scores[j] = select(vec4f(NONE), scores[j], seesFour(sight, b, key + 16u * side + 4u * j));
      }
    }
    var four = scores[0];
    var all = vec4f();
    for (var j = 0u; j < 4u; j++) { // unroll
      four = max(four, scores[j]);
      all += scores[j];
    }
    // A NaN stays in the sum, and so does +∞; what is not seen makes it -∞ at most.
    if (isBad(all.x + all.y + (all.z + all.w))) {
      total = bitcast<f32>(0x7fc00000u | args.zero);
    }
    var most = max(max(four.x, four.y), max(four.z, four.w));
    most = max(most, subgroupShuffleXor(most, 1u));
    // A row that has seen nothing so far has no results to rescale.
    var factor = 1.0;
    if (peak == NONE) {
      peak = most;
    } else if (most > peak + SLACK) {
      factor = powerBelow(peak - most);
      peak = most;
      grown = 1u;
    }
    // A row that has seen nothing has no weights.
    let base = select(peak, 0.0, peak == NONE);
    var weight = vec4f();
    for (var o = 0u; o < 2u; o++) { // unroll
      let one = exp2(scores[2u * o] - base);
      let other = exp2(scores[2u * o + 1u] - base);
      weight += one + other;
      if (PAIRS) {
        weights[line + o] = packed(nearest(one), nearest(other));
        weights[line + 2u + o] = packed(one - nearest(one), other - nearest(other));
      } else {
        weights[line + o] = packed(one, other);
      }
    }
    total = total * factor + (weight.x + weight.y + weight.z + weight.w);
    for (var n = 0u; n < BROUGHT; n++) { // unroll
      if (PAIRS) {
        stage(0u, index + LANES * n, values[n]);
        stage(OPERAND, index + LANES * n, valueRests[n]);
      } else {
        stage(OPERAND, index + LANES * n, values[n]);
        stage(0u, index + LANES * n, keys[n]);
      }
    }
    for (var n = 0u; n < BROUGHT; n++) { // unroll
      values[n] = octetAt(select(1u, 2u, PAIRS), place, key + TILE_KEYS, index + LANES * n, end);
      if (PAIRS) {
        valueRests[n] = octetAt(3u, place, key + TILE_KEYS, index + LANES * n, end);
      }
    }
    // A barrier as well.
    if (workgroupUniformLoad(&grown) != 0u) {
      // One subgroup after the other: this is rare, and workgroup memory is dear.
      for (var turn = 0u; turn < SUBGROUPS; turn++) {
        for (var d = 0u; d < DEEP; d++) { // unroll
          if (part == turn) {
            subgroupMatrixStore<row_major>(&moved, 0u, sums[d], MOVED);
          }
          workgroupBarrier();
          if (part == turn) {
            for (var j = 0u; j < 2u; j++) { // unroll
              let at = lane / 2u * MOVED + 2u * side + j;
              moved[at] = bitcast<vec4u>(factor * bitcast<vec4f>(moved[at]));
            }
          }
          workgroupBarrier();
          if (part == turn) {
            sums[d] = subgroupMatrixLoad<Result, row_major>(&moved, 0u, MOVED);
          }
          workgroupBarrier();
        }
      }
    }
    for (var c = 0u; c < 2u; c++) { // unroll
      let left = subgroupMatrixLoad<Left, row_major>(&weights, part * PART + 4u * c, SCORES);
      let start = select(OPERAND, 0u, PAIRS) + 16u * c * ROW;
      for (var d = 0u; d < DEEP; d++) { // unroll
        let right = subgroupMatrixLoad<Right, row_major>(&tiles, start + 2u * d, ROW);
        sums[d] = subgroupMatrixMultiplyAccumulate(left, right, sums[d]);
        if (PAIRS) {
          let rest = subgroupMatrixLoad<Left, row_major>(&weights, part * PART + 4u * c + 2u, SCORES);
          sums[d] = subgroupMatrixMultiplyAccumulate(rest, right, sums[d]);
          let other = subgroupMatrixLoad<Right, row_major>(&tiles, OPERAND + 16u * c * ROW + 2u * d, ROW);
          sums[d] = subgroupMatrixMultiplyAccumulate(left, other, sums[d]);
        }
      }
    }
    workgroupBarrier();
    if (PAIRS) {
      for (var n = 0u; n < BROUGHT; n++) { // unroll
        stage(0u, index + LANES * n, keys[n]);
        stage(OPERAND, index + LANES * n, keyRests[n]);
      }
      workgroupBarrier();
    }
  }

  total += subgroupShuffleXor(total, 1u);
  let scale = select(1.0 / total, 0.0, total == 0.0);
  let exists = ownRow < args.rows;
  let ownPlace = placeOf(b, kvHead, ownRow);
  if (exists && side == 0u) {
    results[ownPlace] = logSumExp(peak, total);
  }
  for (var d = 0u; d < DEEP; d++) { // unroll
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&weights, part * PART, sums[d], SCORES);
    workgroupBarrier();
    for (var j = 0u; j < 2u; j++) { // unroll
      let four = scale * bitcast<vec4f>(weights[part * PART + lane / 2u * SCORES + 2u * side + j]);
      let to = ownPlace * args.headDim + 16u * d + 8u * side + 4u * j;
      if (exists) {
        y[to] = four.x;
        y[to + 1u] = four.y;
        y[to + 2u] = four.z;
        y[to + 3u] = four.w;
      }
    }
  }
}

/// An octet of a tile's keys or values, or of their rests; 0 behind the last key, where nothing is loaded.
fn octetAt(operand: u32, place: u32, key: u32, i: u32, end: u32) -> vec4u {
  if (key + i / OCTETS >= end) {
    return vec4u();
  }
  return halves[operand * args.octets + (place + key) * OCTETS + i];
}

/// Whether a number is NaN or +∞, by its bits: a compiler may take comparisons for true.
fn isBad(x: f32) -> bool {
  let bits = bitcast<u32>(x);
  return bits == 0x7f800000u || (bits & 0x7fffffffu) > 0x7f800000u;
}

/// Writes an octet to its place, counted from the begin of an operand.
fn stage(begin: u32, i: u32, octet: vec4u) {
  // A lane's last octet may lie behind the tile.
  if (TILE_KEYS * OCTETS % LANES != 0u && i >= TILE_KEYS * OCTETS) {
    return;
  }
  tiles[begin + i / OCTETS * ROW + i % OCTETS] = octet;
}

/// The place of a row among those of all heads, `[batch, queries, heads]`.
fn placeOf(b: u32, kvHead: u32, row: u32) -> u32 {
  return (b * args.queries + row / args.group) * args.heads + kvHead * args.group + row % args.group;
}

/// Whether all queries from the first to the last see every key of a tile.
fn seenByAll(b: u32, firstQuery: u32, lastQuery: u32, key: u32) -> bool {
  let last = i32(key + TILE_KEYS) - 1;
  let low = plainBounds(positionOf(b, firstQuery), 0, i32(args.keys));
  let high = plainBounds(positionOf(b, lastQuery), 0, i32(args.keys));
  return i32(key) >= high.begin && last <= low.end;
}
