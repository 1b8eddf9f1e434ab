// link: rotation, rms, lane-sum-workgroup
// What the products of an attention block become before its scores: q, and new rows of the caches of k and v. LANES
// lanes take a head of a token. They apply an RMS norm to q and k where the block has such norms, turn their first
// channels by the token's position, and leave v as it is. Bytes a channel: 8.

struct Args {
  tokens: u32,
  length: u32,
  heads: u32,
  kvHeads: u32,
  headDim: u32,
  pairs: u32, // of channels that turn; 0 without rotary positions
  interleaved: u32,
  capacity: u32, // rows of a cache
  row: u32, // of the cache, for the first token
  position: i32, // of the first token
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [tokens, heads + 2 kvHeads, headDim]
@group(0) @binding(2) var<storage, read> norms: array<f32>; // [2, headDim]: of q and of k
@group(0) @binding(3) var<storage, read> turns: array<vec2u>; // [pairs]: see lib/rotation.wgsl
// [2, batch]: the row of the cache for the first token of each row of the batch, and the position of that token
@group(0) @binding(4) var<storage, read> places: array<i32>;
@group(0) @binding(5) var<storage, read_write> q: array<f32>; // [tokens, heads, headDim]
@group(0) @binding(6) var<storage, read_write> k: array<f32>; // [batch, capacity, kvHeads, headDim]
@group(0) @binding(7) var<storage, read_write> v: array<f32>; // [batch, capacity, kvHeads, headDim]

/// Whether each row of the batch has a place of its own.
override PLACED: bool = false;
override NORM: bool = false;

const WORKGROUP = 64u;
const LANES = 32u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tile_id.y * tiles_count.x + tile_id.x;
  let all = args.heads + 2u * args.kvHeads;
  let wanted = tile * (WORKGROUP / LANES) + index / LANES;
  // Lanes past the last head repeat its sum, so that barriers stay uniform.
  let part = min(wanted, args.tokens * all - 1u);
  let token = part / all;
  let head = part % all;
  let first = part * args.headDim;
  let lane = index % LANES;
  let ofQueries = head < args.heads;
  var factors = vec2f(1.0);
  if (NORM) {
    var squares = 0.0;
    for (var c = lane; c < args.headDim; c += LANES) {
      squares += x[first + c] * x[first + c];
    }
    factors = normFactors(laneSum(vec2f(squares, 0.0), index).x, first, args.headDim, args.eps);
  }
  if (wanted != part) {
    return;
  }
  let batch = token / args.length;
  let step = token % args.length;
  var row = args.row + step;
  var position = args.position + i32(step);
  if (PLACED) {
    let rows = args.tokens / args.length;
    row = u32(places[batch]) + step;
    position = places[rows + batch] + i32(step);
  }
  let cached = (batch * args.capacity + row) * args.kvHeads;
  if (head >= args.heads + args.kvHeads) {
    let to = (cached + head - args.heads - args.kvHeads) * args.headDim;
    for (var c = lane; c < args.headDim; c += LANES) {
      v[to + c] = x[first + c];
    }
    return;
  }
  let to = select(cached + head - args.heads, token * args.heads + head, ofQueries) * args.headDim;
  let weights = select(args.headDim, 0u, ofQueries);
  for (var n = lane; n < args.headDim - args.pairs; n += LANES) {
    if (n >= args.pairs) {
      let c = args.pairs + n;
      store(ofQueries, to + c, normed(first, c, weights, factors));
      continue;
    }
    let a = select(n, 2u * n, args.interleaved != 0u);
    let b = select(n + args.pairs, 2u * n + 1u, args.interleaved != 0u);
    let u = normed(first, a, weights, factors);
    let w = normed(first, b, weights, factors);
    let angle = rotation(position, turns[n]);
    store(ofQueries, to + a, u * angle.x - w * angle.y);
    store(ofQueries, to + b, u * angle.y + w * angle.x);
  }
}

/// A channel of a head, after the norm.
fn normed(first: u32, channel: u32, weights: u32, factors: vec2f) -> f32 {
  let value = x[first + channel];
  if (NORM) {
    return value * factors.x * factors.y * norms[weights + channel];
  }
  return value;
}

fn store(ofQueries: bool, at: u32, value: f32) {
  if (ofQueries) {
    q[at] = value;
  } else {
    k[at] = value;
  }
}

fn element(i: u32) -> f32 {
  return x[i];
}
