// link: math, rate, weights, cut, x-{stored,summed}, inputs, dot-row, quads-stored, rms, lane-sum-{workgroup,subgroup}
// The second of a layer's decode dispatches: dt_proj, softplus, one step of the recurrence, D·u and the gate. LANES
// lanes share a channel's row of dt_proj and its states (one each where there are as many); the state moves on in
// place. dt, B and C come from x_proj's dispatch, or in parts, from the workgroups of decode-in-proj.wgsl or from a
// product whose inputs are cut: every workgroup here adds them up for itself. With MIXER_NORM dt, B and C are
// RMS-normalised: the factors are taken from sums that every lane forms anyway. With NORM as well, those norms have
// weights. Bytes a channel: dtRank · bytes a weight, 8 · states of state, 4 · states of A; 16 · ROW · parts a
// workgroup, from cache.

struct Args {
  inputs: u32, // dtRank
  outputs: u32, // channels of this part of dt_proj
  firstOutput: u32,
  dim: u32, // dInner
  states: u32,
  parts: u32,
  rowStep: u32, // vec4s of x from one row of the batch to the next
  partStep: u32, // and from one part to the next
  eps: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // dt, B, C: see rowStep
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // dt_proj [dim, dtRank] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> norm: array<vec4f>; // weights of the norms of dt, B and C [dtRank + 2 states]
@group(0) @binding(5) var<storage, read> constants: array<f32>; // A [dim, states], D [dim], dt bias [dim]
@group(0) @binding(6) var<storage, read> uz: array<f32>; // [batch, 2 dim]
@group(0) @binding(7) var<storage, read_write> state: array<f32>; // [batch, dim, states]
@group(0) @binding(8) var<storage, read_write> y: array<f32>; // [batch, dim]

alias Value = vec4f;

override WORKGROUP: u32 = 64u;
override LANES: u32 = 4u;
override MIXER_NORM: bool = false;
override SQUARES: bool = false; // as MIXER_NORM
override NORM: bool = false;

const ROW: u32 = 12u; // constant: vec4s of dt, B and C: dtRank + 2 states, rounded up

const LOG2E = 1.44269504088896340736;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let local = tile_id.x * (WORKGROUP / LANES) + index / LANES;
  let owned = local < args.outputs;
  let row = min(local, args.outputs - 1u);
  let channel = args.firstOutput + row;
  let batch = tile_id.z;
  let vectors = args.dim * args.states;
  // The lane's first state, and what the end needs, are loaded before the product, so that they are under way with the
  // weights.
  let firstState = min(lane, args.states - 1u);
  let stateBase = (batch * args.dim + channel) * args.states;
  let a0 = constants[channel * args.states + firstState];
  let h0 = state[stateBase + firstState];
  let u = uz[batch * 2u * args.dim + channel];
  let z = uz[batch * 2u * args.dim + args.dim + channel];
  let skip = constants[vectors + channel];
  let bias = constants[vectors + args.dim + channel];
  let words = wordsOf(0u, row, lane);
  let base = gatherX(batch, 4u * ROW, index);
  let b0 = element(base + args.inputs + firstState);
  let c0 = element(base + args.inputs + args.states + firstState);
  let dots = laneSum(dotRowsFrom(words, row, base, lane)[0], index);
  var projected = dots.x;
  var factorsB = vec2f(1.0);
  var factorsC = vec2f(1.0);
  if (MIXER_NORM) {
    let factors = normFactors(dots.y, base, args.inputs, args.eps);
    projected = projected * factors.x * factors.y;
    factorsB = factorsOf(base + args.inputs);
    factorsC = factorsOf(base + args.inputs + args.states);
  }
  let d = softplus(projected + bias);
  var sum = 0.0;
  // Lanes past the last channel repeat it: they must not move its state on twice.
  if (lane < args.states) {
    let rate = a0 * LOG2E;
    let h = exp2(d * finiteRate(rate, 0u)) * beginning(h0, rate, 0u) + d * u * normed(b0, factorsB, args.inputs + lane);
    if (owned) {
      state[stateBase + lane] = h;
    }
    sum = h * normed(c0, factorsC, args.inputs + args.states + lane);
  }
  for (var n = lane + LANES; n < args.states; n += LANES) {
    let b = normed(element(base + args.inputs + n), factorsB, args.inputs + n);
    let rate = constants[channel * args.states + n] * LOG2E;
    let h = exp2(d * finiteRate(rate, 0u)) * beginning(state[stateBase + n], rate, 0u) + d * u * b;
    if (owned) {
      state[stateBase + n] = h;
    }
    let c = args.inputs + args.states + n;
    sum += h * normed(element(base + c), factorsC, c);
  }
  let total = laneSum(vec2f(sum, 0.0), index).x;
  if (lane == 0u && owned) {
    y[batch * args.dim + channel] = (total + skip * u) * silu(z);
  }
}

fn element(i: u32) -> f32 {
  return x4(i >> 2u)[i & 3u];
}

/// The i-th of dt, B and C after its norm, whose factors are given.
fn normed(value: f32, factors: vec2f, i: u32) -> f32 {
  let result = value * factors.x * factors.y;
  if (NORM) {
    return result * norm[i >> 2u][i & 3u];
  }
  return result;
}

/// Factors of the norm of the states from i on.
fn factorsOf(i: u32) -> vec2f {
  var squares = 0.0;
  for (var n = 0u; n < args.states; n++) {
    squares += element(i + n) * element(i + n);
  }
  return normFactors(squares, i, args.states, args.eps);
}
