enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// link: heads-quads, attention-mask, attention-scores, power-below, log-sum-exp
// Softmax attention on matrix units, with float32 sums: as attention.wgsl, for 64 rows of a head of keys and 64 keys at
// a time. Four subgroups of 32 lanes have sixteen rows each, so that no subgroup waits for another's scores. A matrix
// is opaque: its rows cannot be weighed where it lies. So scores pass through workgroup memory, two lanes a row, and
// weights return there as halves. The results stay in their matrices: they are rescaled only where the largest score of
// a row grows by more than 2^8 (weights of up to 2^8 are exact in what follows, for they are divided out at the end),
// which after the first tiles hardly happens, and then through workgroup memory.
//
// Queries are scaled before they are rounded to halves. With PAIRS every operand is a pair of halves, and what is
// multiplied in halves has the rests of both operands as well. `%` in places of matrices tells the compiler that they
// are bounded. Workgroup memory: 17 KiB of scores, and 64 keys or values with room for rests, 18 KiB for 64 channels.

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
  zero: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> q: array<Channels>; // [batch, queries, heads, headDim]
@group(0) @binding(2) var<storage, read> k: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(3) var<storage, read> v: array<Channels>; // [batch, keys, kvHeads, headDim]
@group(0) @binding(4) var<storage, read> bounds: array<i32>; // see lib/attention-mask.wgsl
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [batch, queries, heads, headDim]
@group(0) @binding(6) var<storage, read_write> results: array<f32>; // logSumExp [batch, queries, heads]

const QUADS: u32 = 16u; // constant
/// Matrices side by side in the channels of a head.
const DEEP: u32 = 4u; // constant
override PAIRS: bool = false;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Result = subgroup_matrix_result<f32, 16, 16>;

const LANES = 128u;
const TILE: u32 = 64u;
/// vec4us from row to row of operands, of eight halves each, with one more against bank conflicts.
const ROW = 2u * DEEP + 1u;
const OPERAND = TILE * ROW;
/// vec4us from row to row of scores, of four float32 each, likewise; and of a subgroup's sixteen rows.
const SCORES = 17u;
const PART = 16u * SCORES;
/// Less than any score.
const NONE = -3.0e38;
/// The largest score may grow by this, in powers of two, before results are rescaled.
const SLACK = 8.0;

/// Queries, then keys and values in turn, with the rests of their rounding behind them. Without PAIRS the second half
/// is not used, but the compiler checks the loads of rests against this size all the same.
var<workgroup> tiles: array<vec4u, 2u * OPERAND>;
/// Scores and weights of each subgroup; results on their way.
var<workgroup> weights: array<vec4u, 4u * PART>;
var<workgroup> grown: u32;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let count = (args.rows + TILE - 1u) / TILE;
  // The last rows see the most keys where the call is causal: they begin first.
  let first = (count - 1u - tile_id.x) * TILE;
  let kvHead = tile_id.y;
  let b = tile_id.z;
  let part = subgroup % 4u;
  // Two lanes have a row, and half of the keys each.
  let own = 16u * part + lane / 2u;
  let side = lane % 2u;
  let line = part * PART + lane / 2u * SCORES + 8u * side;
  for (var i = index; i < TILE * 2u * DEEP; i += LANES) {
    let row = min(first + i / (2u * DEEP), args.rows - 1u);
    let place = placeOf(b, kvHead, row);
    let octet = i % (2u * DEEP);
    stage(i / (2u * DEEP), octet, args.factor * q4(place, 2u * octet), args.factor * q4(place, 2u * octet + 1u));
  }
  if (index == 0u) {
    grown = 0u;
  }
  workgroupBarrier();
  var queries: array<Left, DEEP>;
  var rests: array<Left, DEEP>;
  for (var d = 0u; d < DEEP; d++) { // unroll
    queries[d] = subgroupMatrixLoad<Left, row_major>(&tiles, 16u * part * ROW + 2u * d, ROW);
    if (PAIRS) {
      rests[d] = subgroupMatrixLoad<Left, row_major>(&tiles, OPERAND + 16u * part * ROW + 2u * d, ROW);
    }
  }

  let firstQuery = first / args.group;
  let lastQuery = (min(first + TILE, args.rows) - 1u) / args.group;
  let end = endFor(b, lastQuery);
  let begin = min(beginFor(b, firstQuery), end) / TILE;
  let sight = boundsOf(b, first + own);
  var sums: array<Result, DEEP>;
  var peak = NONE;
  var total = 0.0;
  for (var tile = begin; tile < (end + TILE - 1u) / TILE; tile++) {
    let key = tile * TILE;
    workgroupBarrier();
    for (var i = index; i < TILE * 2u * DEEP; i += LANES) {
      let octet = i % (2u * DEEP);
      let place = keyPlace(b, kvHead, key + i / (2u * DEEP));
      let exists = key + i / (2u * DEEP) < end;
      stage(
        i / (2u * DEEP),
        octet,
        select(vec4f(), k4(place, 2u * octet), exists),
        select(vec4f(), k4(place, 2u * octet + 1u), exists),
      );
    }
    workgroupBarrier();
    for (var c = 0u; c < 4u; c++) { // unroll
      var score: Result;
      for (var d = 0u; d < DEEP; d++) { // unroll
        let right = subgroupMatrixLoad<Right, col_major>(&tiles, 16u * c * ROW + 2u * d, ROW);
        if (d == 0u) {
          score = subgroupMatrixMultiplyAccumulate(queries[d], right, Result());
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
    workgroupBarrier();

    // Each lane takes 32 scores of its row to registers.
    var scores: array<vec4f, 8>;
    var most = NONE;
    let border = BOUNDED || !seenByAll(b, firstQuery, lastQuery, key);
    for (var j = 0u; j < 8u; j++) { // unroll
      var four = bitcast<vec4f>(weights[line + j]);
      if (args.cap > 0.0) {
        four = args.cap * vec4f(tanhOf(four.x), tanhOf(four.y), tanhOf(four.z), tanhOf(four.w));
      }
      if (border) {
        let at = key + 32u * side + 4u * j;
        four = select(
          vec4f(NONE),
          four,
          vec4<bool>(sees(sight, b, at), sees(sight, b, at + 1u), sees(sight, b, at + 2u), sees(sight, b, at + 3u)),
        );
      }
      scores[j] = four;
      most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
    }
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
    if (workgroupUniformLoad(&grown) != 0u) {
      for (var d = 0u; d < DEEP; d++) { // unroll
        subgroupMatrixStore<row_major>(&weights, part * PART, sums[d], SCORES);
        workgroupBarrier();
        for (var j = 0u; j < 2u; j++) { // unroll
          let at = part * PART + lane / 2u * SCORES + 2u * side + j;
          weights[at] = bitcast<vec4u>(factor * bitcast<vec4f>(weights[at]));
        }
        workgroupBarrier();
        sums[d] = subgroupMatrixLoad<Result, row_major>(&weights, part * PART, SCORES);
        workgroupBarrier();
      }
    }

    var weight = 0.0;
    for (var j = 0u; j < 4u; j++) { // unroll
      let one = weigh(scores[2u * j], peak);
      let other = weigh(scores[2u * j + 1u], peak);
      weight += dot(one, vec4f(1.0)) + dot(other, vec4f(1.0));
      if (PAIRS) {
        weights[line + j] = packed(nearest(one), nearest(other));
        weights[line + 4u + j] = packed(one - nearest(one), other - nearest(other));
      } else {
        weights[line + j] = packed(one, other);
      }
    }
    total = total * factor + weight;
    if (index == 0u) {
      grown = 0u;
    }
    for (var i = index; i < TILE * 2u * DEEP; i += LANES) {
      let octet = i % (2u * DEEP);
      let place = keyPlace(b, kvHead, key + i / (2u * DEEP));
      let exists = key + i / (2u * DEEP) < end;
      stage(
        i / (2u * DEEP),
        octet,
        select(vec4f(), v4(place, 2u * octet), exists),
        select(vec4f(), v4(place, 2u * octet + 1u), exists),
      );
    }
    workgroupBarrier();
    for (var c = 0u; c < 4u; c++) { // unroll
      let at = part * PART + 8u * (c / 2u) + 2u * (c % 2u);
      let left = subgroupMatrixLoad<Left, row_major>(&weights, at, SCORES);
      for (var d = 0u; d < DEEP; d++) { // unroll
        let right = subgroupMatrixLoad<Right, row_major>(&tiles, 16u * c * ROW + 2u * d, ROW);
        sums[d] = subgroupMatrixMultiplyAccumulate(left, right, sums[d]);
      }
      if (PAIRS) {
        let rest = subgroupMatrixLoad<Left, row_major>(&weights, at + 4u, SCORES);
        for (var d = 0u; d < DEEP; d++) { // unroll
          let right = subgroupMatrixLoad<Right, row_major>(&tiles, 16u * c * ROW + 2u * d, ROW);
          sums[d] = subgroupMatrixMultiplyAccumulate(rest, right, sums[d]);
          let other = subgroupMatrixLoad<Right, row_major>(&tiles, OPERAND + 16u * c * ROW + 2u * d, ROW);
          sums[d] = subgroupMatrixMultiplyAccumulate(left, other, sums[d]);
        }
      }
    }
  }

  total += subgroupShuffleXor(total, 1u);
  let scale = select(1.0 / total, 0.0, total == 0.0);
  let exists = first + own < args.rows;
  let place = placeOf(b, kvHead, min(first + own, args.rows - 1u));
  if (exists && side == 0u) {
    results[place] = logSumExp(peak, total);
  }
  for (var d = 0u; d < DEEP; d++) { // unroll
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&weights, part * PART, sums[d], SCORES);
    workgroupBarrier();
    for (var j = 0u; j < 2u; j++) { // unroll
      let four = scale * bitcast<vec4f>(weights[part * PART + lane / 2u * SCORES + 2u * side + j]);
      let to = place * args.headDim + 16u * d + 8u * side + 4u * j;
      if (exists) {
        y[to] = four.x;
        y[to + 1u] = four.y;
        y[to + 2u] = four.z;
        y[to + 3u] = four.w;
      }
    }
  }
}

/// Weights of four scores; 0 for those that are not seen.
fn weigh(scores: vec4f, peak: f32) -> vec4f {
  return select(powersUpTo(scores - peak), vec4f(), scores <= vec4f(-2.9e38));
}

/// 2^x for x of at most SLACK; NaN stays NaN.
fn powersUpTo(x: vec4f) -> vec4f {
  return select(x, exp2(max(x, vec4f(-200.0))), x <= vec4f(SLACK + 1.0));
}

/// Writes eight channels of a row of an operand.
fn stage(row: u32, octet: u32, first: vec4f, second: vec4f) {
  let at = row * ROW + octet;
  if (PAIRS) {
    tiles[at] = packed(nearest(first), nearest(second));
    tiles[OPERAND + at] = packed(first - nearest(first), second - nearest(second));
  } else {
    tiles[at] = packed(first, second);
  }
}

/// The nearest halves, computed in float32: a compiler may take a conversion to f16 and back for no change.
fn nearest(value: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(value) + 0x1000u) & vec4u(0xffffe000u));
}

fn packed(first: vec4f, second: vec4f) -> vec4u {
  return vec4u(bitcast<vec2u>(vec4<f16>(first)), bitcast<vec2u>(vec4<f16>(second)));
}

/// The place of a row among those of all heads, `[batch, queries, heads]`.
fn placeOf(b: u32, kvHead: u32, row: u32) -> u32 {
  return (b * args.queries + row / args.group) * args.heads + kvHead * args.group + row % args.group;
}

fn keyPlace(b: u32, kvHead: u32, key: u32) -> u32 {
  return (b * args.keys + min(key, args.keys - 1u)) * args.kvHeads + kvHead;
}

/// Whether all queries from the first to the last see every key of a tile.
fn seenByAll(b: u32, firstQuery: u32, lastQuery: u32, key: u32) -> bool {
  let last = i32(key + TILE) - 1;
  let low = plainBounds(positionOf(b, firstQuery), 0, i32(args.keys));
  let high = plainBounds(positionOf(b, lastQuery), 0, i32(args.keys));
  return i32(key) >= high.begin && last <= low.end;
}
