// link: math, rate, lane-{single,quad}, collect-{workgroup,subgroup}
// The fused selective scan: discretisation, softplus, recurrence, C·h, D·u and the gate in one kernel; see core's
// operations/selective-scan.ts for the equations.
//
// A workgroup owns CHANNELS = WORKGROUP / LANES channels of one group, one batch row and one chunk of time. A channel is LANES lanes,
// a lane holds GROUPS Lanes of WIDTH states in registers for the whole chunk (LANES · GROUPS · WIDTH ≥ states; what exceeds is zero).
// Time goes by tiles of STEPS, in blocks of BLOCK: B and C are staged once for all channels of the tile; with more than one lane a channel, delta
// (after bias and softplus) and u as well.
//
// MODE 0, whole: from the state buffer (the initial state) to y and the last state.
// MODE 1, local: from zero; writes only the chunk's last state, Σ delta and whether it has no reset.
// MODE 2, apply: from the chunk's first state, which selective-scan-carry.wgsl has made of those; writes y.
//
// Bytes an element (batch · length · channel), f32: whole and apply read u, delta, z and write y: 16, and B and C 8 · states / CHANNELS;
// local reads u, delta: 8, and B 4 · states / CHANNELS. A chunk adds 4 · states + 8 bytes a channel, written once and read twice.
// Operations an element: whole and apply per state 1 exp2, 4 multiplies or adds (2 fused), plus one softplus and one silu
// (2 exp, 2 divisions); LANES > 1 adds 2 workgroup loads or stores a lane, or log2(LANES) shuffles.

struct Args {
  length: u32,
  dim: u32,
  states: u32,
  chunkLength: u32,
  chunks: u32,
  summaries: u32, // where the chunks' Σ delta begin in `state`
  channelsPerGroup: u32,
  tilesPerGroup: u32,
  // Element strides of a time step, of a group (or of a channel where constant), and where the first one lies.
  bRow: u32,
  bGroup: u32,
  bOffset: u32,
  cRow: u32,
  cGroup: u32,
  cOffset: u32,
  zRow: u32,
  zOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> u: array<f32>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> delta: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> z: array<f32>; // [batch · length, zRow]
@group(0) @binding(4) var<storage, read> B: array<f32>; // [batch · length, bRow], or [dim, states] where constant
@group(0) @binding(5) var<storage, read> C: array<f32>; // [batch · length, cRow], or [dim, states] where constant
@group(0) @binding(6) var<storage, read> constants: array<f32>; // A [dim, states], D [dim], deltaBias [dim], resets as bits [batch, length]
@group(0) @binding(7) var<storage, read_write> y: array<f32>; // [batch, length, dim]
// MODE 0: [batch, dim, states]. MODE 1, 2: [batch, chunks, dim, states], then [batch, chunks, dim] of Σ delta and survived.
@group(0) @binding(8) var<storage, read_write> state: array<f32>;

const GROUPS: u32 = 4u; // constant
const BLOCK: u32 = 8u; // constant
const ROUNDS: u32 = 1u; // constant: WORKGROUP · ROUNDS Lanes of B, and of C, cover a tile
override WORKGROUP: u32 = 64u;
override LANES: u32 = 1u;
override STEPS: u32 = 16u; // a multiple of BLOCK
override MODE: u32 = 0u;
override DISCRETIZATION: u32 = 0u; // 0 euler, 1 zoh, 2 bilinear
override SOFTPLUS: bool = true;
override BIAS: bool = true;
override SKIP: bool = true;
override GATE: bool = true;
override RESETS: bool = false;
override CONSTANT_B: bool = false;
override CONSTANT_C: bool = false;
/// Lanes hold no more than the states. Else the rest is left out of y: an infinite input times a B of 0 is NaN.
override FULL: bool = true;
// Sizes of workgroup arrays: 2 · STEPS · LANES · GROUPS each where B or C varies, STEPS · CHANNELS and STEPS · WORKGROUP where LANES > 1; else 1.
override TILE_B: u32 = 256u;
override TILE_C: u32 = 256u;
override STAGED: u32 = 1u;
override PARTS: u32 = 1u;

var<workgroup> tileB: array<Lane, TILE_B>;
var<workgroup> tileC: array<Lane, TILE_C>;
var<workgroup> staged: array<vec2f, STAGED>; // delta, u

const LOG2E = 1.44269504088896340736;
const LARGEST = 3.4028234e38;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let slot = index / LANES;
  let channels = WORKGROUP / LANES;
  let group = tile_id.x / args.tilesPerGroup;
  let firstInGroup = (tile_id.x % args.tilesPerGroup) * channels;
  let batch = tile_id.z;
  let chunk = tile_id.y;
  // Lanes past the last channel of the group repeat it and store nothing, so that barriers stay uniform.
  let inGroup = firstInGroup + slot;
  let owned = inGroup < args.channelsPerGroup;
  let channel = group * args.channelsPerGroup + min(inGroup, args.channelsPerGroup - 1u);

  let begin = chunk * args.chunkLength;
  let end = min(begin + args.chunkLength, args.length);
  let rowsBefore = batch * args.length;
  let vectors = args.dim * args.states;
  let marks = vectors + 2u * args.dim;

  var a: array<Lane, GROUPS>;
  var h: array<Lane, GROUPS>;
  var origin: array<Lane, GROUPS>; // what a reset leaves
  var left: array<Lane, GROUPS>; // bilinear: what rounding took from h
  var b: array<Lane, GROUPS>;
  var c: array<Lane, GROUPS>;
  let stateBase = (select(batch, batch * args.chunks + chunk, MODE != 0u) * args.dim + channel) * args.states;
  for (var i = 0u; i < GROUPS; i++) {
    let n = (i * LANES + lane) * WIDTH;
    a[i] = loadA(channel, n);
    origin[i] = fromA(Lane(), channel, n);
    if (MODE != 1u) {
      h[i] = fromA(loadState(stateBase, n), channel, n);
    }
    if (CONSTANT_B) {
      b[i] = loadB(channel * args.states, n);
    }
    if (CONSTANT_C) {
      c[i] = loadC(channel * args.states, n);
    }
  }
  let bias = select(0.0, constants[vectors + args.dim + channel], BIAS);
  let skip = select(0.0, constants[vectors + channel], SKIP);
  var total = 0.0;
  var survived = 1.0;

  // What comes from memory is loaded ahead of its use, so that its latency is not seen: B and C by a tile, and with one lane a channel
  // delta, u and z by a block.
  var nextB: array<Lane, ROUNDS>;
  var nextC: array<Lane, ROUNDS>;
  var nextDelta: array<f32, BLOCK>;
  var nextU: array<f32, BLOCK>;
  var nextZ: array<f32, BLOCK>;
  for (var round = 0u; round < ROUNDS; round++) {
    nextB[round] = fetchB(round * WORKGROUP + index, begin, end, rowsBefore, group);
    nextC[round] = fetchC(round * WORKGROUP + index, begin, end, rowsBefore, group);
  }
  if (LANES == 1u) {
    for (var k = 0u; k < BLOCK; k++) {
      let row = rowsBefore + min(begin + k, end - 1u);
      nextDelta[k] = delta[row * args.dim + channel];
      nextU[k] = u[row * args.dim + channel];
      if (GATE) {
        nextZ[k] = z[args.zOffset + row * args.zRow + channel];
      }
    }
  }

  let tiles = (end - begin + STEPS - 1u) / STEPS;
  for (var tile = 0u; tile < tiles; tile++) {
    let first = begin + tile * STEPS;
    let count = min(STEPS, end - first);
    // The halves of tileB and tileC take turns: a lane may still read the one that the others left a barrier ago.
    let half = (tile & 1u) * STEPS * LANES * GROUPS;
    for (var round = 0u; round < ROUNDS; round++) {
      let j = round * WORKGROUP + index;
      if (j < STEPS * LANES * GROUPS) {
        if (!CONSTANT_B) {
          tileB[half + j] = select(Lane(), nextB[round], j / (LANES * GROUPS) < count);
        }
        if (!CONSTANT_C && MODE != 1u) {
          tileC[half + j] = nextC[round];
        }
      }
    }
    if (LANES > 1u) {
      workgroupBarrier();
      stage(index, rowsBefore + first, count, group, firstInGroup);
    }
    workgroupBarrier();
    for (var round = 0u; round < ROUNDS; round++) {
      nextB[round] = fetchB(round * WORKGROUP + index, first + STEPS, end, rowsBefore, group);
      nextC[round] = fetchC(round * WORKGROUP + index, first + STEPS, end, rowsBefore, group);
    }
    // Every loop below runs a constant number of times, so that it can be unrolled: a step past the chunk has delta 0, u 0 and B 0 (u 0
    // is not enough where B is infinite), and C of some other step, which leaves h as it is in every discretisation.
    for (var turn = 0u; turn < STEPS / BLOCK; turn++) {
      var ds: array<f32, BLOCK>;
      var xs: array<f32, BLOCK>;
      var zs: array<f32, BLOCK>;
      if (LANES == 1u) {
        for (var k = 0u; k < BLOCK; k++) {
          let inside = turn * BLOCK + k < count;
          ds[k] = select(0.0, discretised(nextDelta[k] + bias), inside);
          xs[k] = select(0.0, nextU[k], inside);
          zs[k] = nextZ[k];
        }
        for (var k = 0u; k < BLOCK; k++) {
          let row = rowsBefore + min(first + (turn + 1u) * BLOCK + k, end - 1u);
          nextDelta[k] = delta[row * args.dim + channel];
          nextU[k] = u[row * args.dim + channel];
          if (GATE) {
            nextZ[k] = z[args.zOffset + row * args.zRow + channel];
          }
        }
      } else {
        for (var k = 0u; k < BLOCK; k++) {
          let both = staged[(turn * BLOCK + k) * channels + slot];
          ds[k] = both.x;
          xs[k] = both.y;
        }
      }
      for (var k = 0u; k < BLOCK; k++) {
        let step = turn * BLOCK + k;
        if (RESETS && step < count && bitcast<u32>(constants[marks + rowsBefore + first + step]) != 0u) {
          for (var i = 0u; i < GROUPS; i++) {
            h[i] = origin[i];
            left[i] = Lane();
          }
          total = 0.0;
          survived = 0.0;
        }
        var sum = Lane();
        for (var i = 0u; i < GROUPS; i++) {
          let at = half + (step * GROUPS + i) * LANES + lane;
          if (!CONSTANT_B) {
            b[i] = tileB[at];
          }
          if (!CONSTANT_C && MODE != 1u) {
            c[i] = tileC[at];
          }
          let bi = select(b[i], Lane(), CONSTANT_B && step >= count);
          if (DISCRETIZATION == 2u) {
            let next = bilinear(h[i], left[i], a[i], bi, ds[k], xs[k]);
            h[i] = next.h;
            left[i] = next.left;
          } else {
            h[i] = advance(h[i], a[i], bi, ds[k], xs[k]);
          }
          if (MODE != 1u) {
            if (FULL) {
              sum += h[i] * c[i];
            } else {
              sum += present(h[i] * c[i], (i * LANES + lane) * WIDTH);
            }
          }
        }
        total += ds[k];
        if (MODE != 1u) {
          if (LANES > 1u) {
            collect(step, index, sumOf(sum));
          } else {
            var value = sumOf(sum) + skip * xs[k];
            if (GATE) {
              value *= silu(zs[k]);
            }
            if (owned && step < count) {
              y[(rowsBefore + first + step) * args.dim + channel] = value;
            }
          }
        }
      }
    }
    if (MODE != 1u && LANES > 1u) {
      workgroupBarrier();
      let outputs = count * channels;
      let rounds = (outputs + WORKGROUP - 1u) / WORKGROUP;
      for (var round = 0u; round < rounds; round++) {
        let j = round * WORKGROUP + index;
        let k = j / channels;
        let other = j % channels;
        let otherInGroup = firstInGroup + other;
        if (j < outputs && otherInGroup < args.channelsPerGroup) {
          let target_ = group * args.channelsPerGroup + otherInGroup;
          let D = select(0.0, constants[vectors + target_], SKIP);
          emit(rowsBefore + first + k, target_, collected(k, other) + D * staged[j].y);
        }
      }
    }
  }

  if (owned && MODE != 2u) {
    for (var i = 0u; i < GROUPS; i++) {
      storeState(stateBase, (i * LANES + lane) * WIDTH, h[i]);
    }
    if (MODE == 1u && lane == 0u) {
      let at = args.summaries + 2u * ((batch * args.chunks + chunk) * args.dim + channel);
      state[at] = total;
      state[at + 1u] = survived;
    }
  }
}

/// The j-th of a tile's Lanes of B, the tile's steps beginning at `first`; those past the end repeat the last.
fn fetchB(j: u32, first: u32, end: u32, rowsBefore: u32, group: u32) -> Lane {
  if (CONSTANT_B) {
    return Lane();
  }
  let row = rowsBefore + min(first + j / (LANES * GROUPS), end - 1u);
  return loadB(args.bOffset + row * args.bRow + group * args.bGroup, (j % (LANES * GROUPS)) * WIDTH);
}

fn fetchC(j: u32, first: u32, end: u32, rowsBefore: u32, group: u32) -> Lane {
  if (CONSTANT_C || MODE == 1u) {
    return Lane();
  }
  let row = rowsBefore + min(first + j / (LANES * GROUPS), end - 1u);
  return loadC(args.cOffset + row * args.cRow + group * args.cGroup, (j % (LANES * GROUPS)) * WIDTH);
}

/// Where a channel is several lanes: delta and u of the tile's channels, for `count` steps.
fn stage(index: u32, row: u32, count: u32, group: u32, firstInGroup: u32) {
  let channels = WORKGROUP / LANES;
  let size = STEPS * channels;
  let rounds = (size + WORKGROUP - 1u) / WORKGROUP;
  for (var round = 0u; round < rounds; round++) {
    let j = round * WORKGROUP + index;
    if (j < size) {
      let step = j / channels;
      let inGroup = min(firstInGroup + j % channels, args.channelsPerGroup - 1u);
      let channel = group * args.channelsPerGroup + inGroup;
      let at = (row + min(step, count - 1u)) * args.dim + channel;
      let bias = select(0.0, constants[args.dim * (args.states + 1u) + channel], BIAS);
      staged[j] = select(vec2f(), vec2f(discretised(delta[at] + bias), u[at]), step < count);
    }
  }
}

fn discretised(x: f32) -> f32 {
  if (SOFTPLUS) {
    return softplus(x);
  }
  return x;
}

/// One step of the recurrence. `a` is A log2(e) for euler, A otherwise.
fn advance(h: Lane, a: Lane, b: Lane, d: f32, x: f32) -> Lane {
  if (DISCRETIZATION == 0u) {
    return exp2(d * a) * h + (d * x) * b;
  }
  let p = d * a;
  return exp(p) * h + x * growth(p, a, d) * b;
}

struct Next {
  h: Lane,
  left: Lane,
}

/// The same for bilinear, which has no chunks: near 1 its decay is kept as the distance from it, and what a step rounds off is added in
/// the next, since roundings of equal steps all go one way.
fn bilinear(h: Lane, left: Lane, a: Lane, b: Lane, d: f32, x: f32) -> Next {
  let half = (0.5 * d) * a;
  let inverse = Lane(1.0) / (Lane(1.0) - half);
  // Not for an infinite state: its change would be the other infinity.
  let near = select(Lane(1.0), abs(half), abs(h) <= Lane(LARGEST)) < Lane(0.25);
  let change = ((d * a) * h + (d * x) * b) * inverse + left;
  // 2 / (1 - half) - 1 is (1 + half) / (1 - half), and -1 where that grows beyond floats.
  let next = select((2.0 * inverse - Lane(1.0)) * h + (d * x) * inverse * b, h + change, near);
  return Next(next, select(Lane(), change - (next - h), near));
}

/// expm1(p) / a for p = d a, d at 0: a series near 0, where the quotient would lose digits.
fn growth(p: Lane, a: Lane, d: f32) -> Lane {
  let series = Lane(1.0) + p * (Lane(1.0 / 2.0) + p * (Lane(1.0 / 6.0) + p * (Lane(1.0 / 24.0) + p * (Lane(1.0 / 120.0)
    + p * (Lane(1.0 / 720.0) + p * (Lane(1.0 / 5040.0) + p * Lane(1.0 / 40320.0)))))));
  // Compared so that NaN takes the series, which keeps it.
  let large = abs(p) >= Lane(0.5);
  return select(d * series, (exp(p) - Lane(1.0)) / select(Lane(1.0), a, large), large);
}

fn emit(row: u32, channel: u32, value: f32) {
  var result = value;
  if (GATE) {
    result *= silu(z[args.zOffset + row * args.zRow + channel]);
  }
  y[row * args.dim + channel] = result;
}

/// `WIDTH` states from n on, zero past the last: loads without branches, which go out together.
fn loadA(channel: u32, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    setPart(&lane, i, select(0.0, finiteRate(rateOf(channel, n + i), DISCRETIZATION), n + i < args.states));
  }
  return lane;
}

/// The states, or NaN where A leaves no other.
fn fromA(h: Lane, channel: u32, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    setPart(&lane, i, select(0.0, beginning(part(h, i), rateOf(channel, n + i), DISCRETIZATION), n + i < args.states));
  }
  return lane;
}

fn rateOf(channel: u32, n: u32) -> f32 {
  let A = constants[channel * args.states + min(n, args.states - 1u)];
  return select(A, A * LOG2E, DISCRETIZATION == 0u);
}

/// Zero past the last state.
fn present(values: Lane, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    setPart(&lane, i, select(0.0, part(values, i), n + i < args.states));
  }
  return lane;
}

fn loadB(base: u32, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    setPart(&lane, i, select(0.0, B[base + min(n + i, args.states - 1u)], n + i < args.states));
  }
  return lane;
}

fn loadC(base: u32, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    setPart(&lane, i, select(0.0, C[base + min(n + i, args.states - 1u)], n + i < args.states));
  }
  return lane;
}

fn loadState(base: u32, n: u32) -> Lane {
  var lane = Lane();
  for (var i = 0u; i < WIDTH; i++) {
    if (n + i < args.states) {
      setPart(&lane, i, state[base + n + i]);
    }
  }
  return lane;
}

fn storeState(base: u32, n: u32, lane: Lane) {
  for (var i = 0u; i < WIDTH; i++) {
    if (n + i < args.states) {
      state[base + n + i] = part(lane, i);
    }
  }
}
