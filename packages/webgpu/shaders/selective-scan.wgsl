// link: scan-args, stored-floats, math, rate, vec-{single,quad}, collect-{workgroup,subgroup}
// The fused selective scan: discretisation, softplus, recurrence, C·h, D·u and the gate in one kernel. core's
// operations/selective-scan.ts has the equations.
//
// A workgroup owns CHANNELS = WORKGROUP / LANES channels of one group, one batch row and one chunk of time. A channel
// is LANES lanes. A lane holds VECS_PER_LANE vectors of STATES_PER_VEC states in registers for the whole chunk; lanes
// may hold more than the states, and the surplus is zero. Time goes by tiles of STEPS, in blocks of BLOCK: B and C are
// staged once for all channels of the tile; with more than one lane a channel, delta (after bias and softplus) and u as
// well.
//
// MODE 0, whole: from the state buffer (the initial state) to y and the last state.
// MODE 1, local: from zero; writes only the chunk's last state, Σ delta and whether it has no reset.
// MODE 2, apply: from the chunk's first state, which selective-scan-carry.wgsl has made of those; writes y.
//
// Bytes an element (batch · length · channel), f32: whole and apply read u, delta, z and write y: 16, and B and C 8 ·
// states / CHANNELS; local reads u, delta: 8, and B 4 · states / CHANNELS. A chunk adds 4 · states + 8 bytes a channel,
// written once and read twice. Operations an element: whole and apply per state 1 exp2, 4 multiplies or adds (2 fused),
// plus one softplus and one silu (2 exp, 2 divisions); LANES > 1 adds 2 workgroup loads or stores a lane, or
// log2(LANES) shuffles.

@group(0) @binding(4) var<storage, read> B: array<f32>; // [batch · length, bRow], or [dim, states] where constant
@group(0) @binding(5) var<storage, read> C: array<f32>; // [batch · length, cRow], or [dim, states] where constant
@group(0) @binding(9) var<storage, read_write> kept: array<f32>; // with KEEP: [batch, keptTiles, dim, states]

const VECS_PER_LANE: u32 = 4u; // constant
const BLOCK: u32 = 8u; // constant
const ROUNDS: u32 = 1u; // constant: WORKGROUP · ROUNDS vectors of B, and of C, cover a tile
override WORKGROUP: u32 = 64u;
override LANES: u32 = 1u;
override STEPS: u32 = 16u; // a multiple of BLOCK
override DISCRETIZATION: u32 = 0u; // 0 euler, 1 zoh, 2 bilinear
override RESETS: bool = false;
override CONSTANT_B: bool = false;
override CONSTANT_C: bool = false;
/// Whether the lanes hold no more than the states. Otherwise the surplus is left out of y, since an infinite input
/// times a B of 0 is NaN.
override FULL: bool = true;
// Sizes of workgroup arrays: 2 · STEPS · LANES · VECS_PER_LANE each where B or C varies, STEPS · CHANNELS and
// STEPS · WORKGROUP where LANES > 1; else 1.
override TILE_B: u32 = 256u;
override TILE_C: u32 = 256u;
override STAGED: u32 = 1u;
override PARTS: u32 = 1u;

var<workgroup> tileB: array<StateVec, TILE_B>;
var<workgroup> tileC: array<StateVec, TILE_C>;
var<workgroup> staged: array<vec2f, STAGED>; // delta, u

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

  var a: array<StateVec, VECS_PER_LANE>;
  var h: array<StateVec, VECS_PER_LANE>;
  var origin: array<StateVec, VECS_PER_LANE>; // the state after a reset
  var left: array<StateVec, VECS_PER_LANE>; // bilinear: what rounding took from h
  var b: array<StateVec, VECS_PER_LANE>;
  var c: array<StateVec, VECS_PER_LANE>;
  let stateBase = (select(batch, batch * args.chunks + chunk, MODE != 0u) * args.dim + channel) * args.states;
  for (var i = 0u; i < VECS_PER_LANE; i++) {
    let n = (i * LANES + lane) * STATES_PER_VEC;
    a[i] = loadA(channel, n);
    origin[i] = fromA(StateVec(), channel, n);
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
  let bias = select(0.0, constants[vectors + args.dim + channel], args.hasDeltaBias != 0u);
  let skip = select(0.0, constants[vectors + channel], args.hasD != 0u);
  var total = 0.0;
  var survived = 1.0;

  // Operands are loaded ahead of their use, to hide the latency of memory: B and C by a tile, and with one lane a
  // channel delta, u and z by a block.
  var nextB: array<StateVec, ROUNDS>;
  var nextC: array<StateVec, ROUNDS>;
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
    // The halves of tileB and tileC take turns, since a lane may still read the half that the others left a barrier
    // ago.
    let half = (tile & 1u) * STEPS * LANES * VECS_PER_LANE;
    for (var round = 0u; round < ROUNDS; round++) {
      let j = round * WORKGROUP + index;
      if (j < STEPS * LANES * VECS_PER_LANE) {
        if (!CONSTANT_B) {
          tileB[half + j] = select(StateVec(), nextB[round], j / (LANES * VECS_PER_LANE) < count);
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
    // Every loop below runs a constant number of times, so that it can be unrolled. A step past the chunk has delta 0,
    // u 0 and B 0 (u 0 is not enough where B is infinite), and C of some other step, which leaves h as it is in every
    // discretisation.
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
        for (var keep = 0u; keep < KEEP; keep++) { // unroll
          if ((first + step) % KEPT == 0u && step < count && owned) {
            let place = (batch * args.keptTiles + (first + step) / KEPT) * args.dim + channel;
            for (var i = 0u; i < VECS_PER_LANE; i++) {
              keepState(place * args.states, (i * LANES + lane) * STATES_PER_VEC, h[i]);
            }
          }
        }
        if (RESETS && step < count && bitcast<u32>(constants[marks + rowsBefore + first + step]) != 0u) {
          for (var i = 0u; i < VECS_PER_LANE; i++) {
            h[i] = origin[i];
            left[i] = StateVec();
          }
          total = 0.0;
          survived = 0.0;
        }
        var sum = StateVec();
        for (var i = 0u; i < VECS_PER_LANE; i++) {
          let at = half + (step * VECS_PER_LANE + i) * LANES + lane;
          if (!CONSTANT_B) {
            b[i] = tileB[at];
          }
          if (!CONSTANT_C && MODE != 1u) {
            c[i] = tileC[at];
          }
          let bi = select(b[i], StateVec(), CONSTANT_B && step >= count);
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
              sum += present(h[i] * c[i], (i * LANES + lane) * STATES_PER_VEC);
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
          let D = select(0.0, constants[vectors + target_], args.hasD != 0u);
          emit(rowsBefore + first + k, target_, collected(k, other) + D * staged[j].y);
        }
      }
    }
  }

  if (owned && MODE != 2u) {
    for (var i = 0u; i < VECS_PER_LANE; i++) {
      storeState(stateBase, (i * LANES + lane) * STATES_PER_VEC, h[i]);
    }
    if (MODE == 1u && lane == 0u) {
      let at = args.summaries + 2u * ((batch * args.chunks + chunk) * args.dim + channel);
      state[at] = total;
      state[at + 1u] = survived;
    }
  }
}

/// The j-th vector of B of the tile whose steps begin at `first`. Steps past the end repeat the last.
fn fetchB(j: u32, first: u32, end: u32, rowsBefore: u32, group: u32) -> StateVec {
  if (CONSTANT_B) {
    return StateVec();
  }
  let row = rowsBefore + min(first + j / (LANES * VECS_PER_LANE), end - 1u);
  return loadB(args.bOffset + row * args.bRow + group * args.bGroup, (j % (LANES * VECS_PER_LANE)) * STATES_PER_VEC);
}

fn fetchC(j: u32, first: u32, end: u32, rowsBefore: u32, group: u32) -> StateVec {
  if (CONSTANT_C || MODE == 1u) {
    return StateVec();
  }
  let row = rowsBefore + min(first + j / (LANES * VECS_PER_LANE), end - 1u);
  return loadC(args.cOffset + row * args.cRow + group * args.cGroup, (j % (LANES * VECS_PER_LANE)) * STATES_PER_VEC);
}

/// Writes delta and u of the tile's channels to workgroup memory for `count` steps, where a channel has several lanes.
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
      let bias = select(0.0, constants[args.dim * (args.states + 1u) + channel], args.hasDeltaBias != 0u);
      staged[j] = select(vec2f(), vec2f(discretised(delta[at] + bias), u[at]), step < count);
    }
  }
}

/// One step of the recurrence. `a` is A log2(e) for euler, A otherwise.
fn advance(h: StateVec, a: StateVec, b: StateVec, d: f32, x: f32) -> StateVec {
  if (DISCRETIZATION == 0u) {
    return exp2(d * a) * h + (d * x) * b;
  }
  let p = d * a;
  return exp(p) * h + x * growth(p, a, d) * b;
}

struct Next {
  h: StateVec,
  left: StateVec,
}

/// The same for bilinear, which has no chunks. A decay near 1 is kept as its distance from 1, and what a step rounds
/// off is added in the next, since roundings of equal steps all go one way.
fn bilinear(h: StateVec, left: StateVec, a: StateVec, b: StateVec, d: f32, x: f32) -> Next {
  let half = (0.5 * d) * a;
  let inverse = StateVec(1.0) / (StateVec(1.0) - half);
  // An infinite state is not near, since its change would be the other infinity.
  let near = select(StateVec(1.0), abs(half), abs(h) <= StateVec(LARGEST)) < StateVec(0.25);
  let change = ((d * a) * h + (d * x) * b) * inverse + left;
  // 2 / (1 - half) - 1 is (1 + half) / (1 - half), and -1 where that grows beyond floats.
  let next = select((2.0 * inverse - StateVec(1.0)) * h + (d * x) * inverse * b, h + change, near);
  return Next(next, select(StateVec(), change - (next - h), near));
}

/// expm1(p) / a for p = d a, which is d at 0. A series is used near 0, where the quotient would lose digits.
fn growth(p: StateVec, a: StateVec, d: f32) -> StateVec {
  let series = StateVec(1.0) + p * (StateVec(1.0 / 2.0) + p * (StateVec(1.0 / 6.0) + p * (StateVec(1.0 / 24.0)
    + p * (StateVec(1.0 / 120.0) + p * (StateVec(1.0 / 720.0) + p * (StateVec(1.0 / 5040.0)
    + p * StateVec(1.0 / 40320.0)))))));
  // The comparison is false for NaN, so NaN takes the series, which keeps it.
  let large = abs(p) >= StateVec(0.5);
  return select(d * series, (exp(p) - StateVec(1.0)) / select(StateVec(1.0), a, large), large);
}

fn emit(row: u32, channel: u32, value: f32) {
  var result = value;
  if (GATE) {
    result *= silu(z[args.zOffset + row * args.zRow + channel]);
  }
  y[row * args.dim + channel] = result;
}

/// The rates of STATES_PER_VEC states from n on, zero past the last. The loads have no branches, so they go out
/// together.
fn loadA(channel: u32, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    setPart(&vec, i, select(0.0, finiteRate(rateOf(channel, n + i), DISCRETIZATION), n + i < args.states));
  }
  return vec;
}

/// The values from which the states begin: h, or what a rate that is not finite makes of it.
fn fromA(h: StateVec, channel: u32, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    setPart(&vec, i, select(0.0, beginning(part(h, i), rateOf(channel, n + i), DISCRETIZATION), n + i < args.states));
  }
  return vec;
}

fn rateOf(channel: u32, n: u32) -> f32 {
  let A = constants[channel * args.states + min(n, args.states - 1u)];
  return select(A, A * LOG2E, DISCRETIZATION == 0u);
}

/// `values` with zeros past the last state.
fn present(values: StateVec, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    setPart(&vec, i, select(0.0, part(values, i), n + i < args.states));
  }
  return vec;
}

fn loadB(base: u32, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    setPart(&vec, i, select(0.0, B[base + min(n + i, args.states - 1u)], n + i < args.states));
  }
  return vec;
}

fn loadC(base: u32, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    setPart(&vec, i, select(0.0, C[base + min(n + i, args.states - 1u)], n + i < args.states));
  }
  return vec;
}

fn loadState(base: u32, n: u32) -> StateVec {
  var vec = StateVec();
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    if (n + i < args.states && args.begun != 0u) {
      setPart(&vec, i, state[base + n + i]);
    }
  }
  return vec;
}

fn keepState(base: u32, n: u32, vec: StateVec) {
  for (var keep = 0u; keep < KEEP; keep++) { // unroll
    for (var i = 0u; i < STATES_PER_VEC; i++) {
      if (n + i < args.states) {
        kept[base + n + i] = part(vec, i);
      }
    }
  }
}

fn storeState(base: u32, n: u32, vec: StateVec) {
  for (var i = 0u; i < STATES_PER_VEC; i++) {
    if (n + i < args.states) {
      state[base + n + i] = part(vec, i);
    }
  }
}
