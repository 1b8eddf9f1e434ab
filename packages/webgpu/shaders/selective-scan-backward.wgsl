// link: scan-backward-args, math, slopes
// The backward selective scan for every call: any discretisation, number of states and groups, constant or varying B
// and C, resets. reference's operations/selective-scan-backward.ts has the equations. Calls of models run on
// selective-scan-backward-euler.wgsl, which is much faster.
//
// A workgroup owns WORKGROUP / LANES channels of one group and one batch row for all time. A channel is LANES lanes,
// which hold VECS_PER_LANE vec4s of states each; vec4s may hold more than the states, and the surplus is zero. First
// the recurrence goes forward and keeps h before each tile of KEPT steps. Then the tiles go from the last to the first:
// the states of a tile are computed again from what was kept, and the adjoint goes back through them. After each step,
// sums over a channel's lanes (s, du, dd) and over the workgroup's channels (dB, dC) meet in workgroup memory.
//
// Bytes an element (batch · length · channel), f32: 24 read and 12 written; states / KEPT · 8 for what is kept, and
// partial sums of dB and dC, 8 · states · LANES / WORKGROUP. Every step has two barriers for each vec4 of a lane.

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> workspace: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> delta: array<f32>; // [batch, length, dim]
@group(0) @binding(4) var<storage, read> z: array<f32>; // [batch, length, dim]
@group(0) @binding(5) var<storage, read> dy: array<f32>; // [batch, length, dim]
@group(0) @binding(6) var<storage, read_write> du: array<f32>; // [batch, length, dim]
@group(0) @binding(7) var<storage, read_write> ddelta: array<f32>; // [batch, length, dim]
@group(0) @binding(8) var<storage, read_write> dz: array<f32>; // [batch, length, dim]

const VECS_PER_LANE: u32 = 1u; // constant
const KEPT = 16u; // steps of a tile
const HELD = KEPT * VECS_PER_LANE;
override WORKGROUP: u32 = 64u;
override LANES: u32 = 4u;
override DISCRETIZATION: u32 = 0u; // 0 euler, 1 zoh, 2 bilinear
override SOFTPLUS: bool = true;
override GATE: bool = true;
override RESETS: bool = false;
override CONSTANT_B: bool = false;
override CONSTANT_C: bool = false;

var<workgroup> products: array<vec4f, 2u * WORKGROUP>; // dB, dC
var<workgroup> parts: array<vec4f, WORKGROUP>; // of s, du, dd

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let channels = WORKGROUP / LANES;
  let group = tile_id.x / args.tilesPerGroup;
  let row = tile_id.y;
  // Lanes past the last channel of the group repeat it, add nothing and store nothing, so that barriers stay uniform.
  let inGroup = tile_id.x % args.tilesPerGroup * channels + index / LANES;
  let owned = inGroup < args.channelsPerGroup;
  let channel = group * args.channelsPerGroup + min(inGroup, args.channelsPerGroup - 1u);
  let bias = select(0.0, workspace[args.atBias + channel], args.hasDeltaBias != 0u);
  let skip = select(0.0, workspace[args.atD + channel], args.hasD != 0u);
  let ofRow = (row * args.dim + channel) * args.states;

  var A: array<vec4f, VECS_PER_LANE>;
  var h: array<vec4f, VECS_PER_LANE>;
  for (var i = 0u; i < VECS_PER_LANE; i++) {
    A[i] = load(args.atA + channel * args.states, stateOf(i, lane));
    if (args.hasInitial != 0u) {
      h[i] = load(args.atInitial + ofRow, stateOf(i, lane));
    }
  }
  for (var t = 0u; t < args.length; t++) {
    if (t % KEPT == 0u && owned) {
      for (var i = 0u; i < VECS_PER_LANE; i++) {
        store(keptAt(row, t / KEPT, channel), stateOf(i, lane), h[i]);
      }
    }
    let at = ((args.firstRow + row) * args.length + t) * args.dim + channel;
    let d = stepAndSlope(delta[at] + bias).x;
    for (var i = 0u; i < VECS_PER_LANE; i++) {
      let b = load(placeOfB(row, t, group, channel), stateOf(i, lane));
      h[i] = advance(select(h[i], vec4f(), marked(row, t)), A[i], d, u[at], b);
    }
  }

  var g: array<vec4f, VECS_PER_LANE>;
  var dA: array<vec4f, VECS_PER_LANE>;
  var dB: array<vec4f, VECS_PER_LANE>; // of a constant B
  var dC: array<vec4f, VECS_PER_LANE>;
  var dD = 0.0;
  var dBias = 0.0;
  if (args.hasLast != 0u) {
    for (var i = 0u; i < VECS_PER_LANE; i++) {
      g[i] = load(args.atLast + ofRow, stateOf(i, lane));
    }
  }
  var before: array<vec4f, HELD>; // h before each step of the tile, 0 where a reset is
  for (var turn = 0u; turn < args.tiles; turn++) {
    let tile = args.tiles - 1u - turn;
    let count = min(KEPT, args.length - tile * KEPT);
    for (var i = 0u; i < VECS_PER_LANE; i++) {
      h[i] = load(keptAt(row, tile, channel), stateOf(i, lane));
    }
    for (var k = 0u; k < count; k++) {
      let t = tile * KEPT + k;
      let at = ((args.firstRow + row) * args.length + t) * args.dim + channel;
      let d = stepAndSlope(delta[at] + bias).x;
      for (var i = 0u; i < VECS_PER_LANE; i++) {
        let previous = select(h[i], vec4f(), marked(row, t));
        before[k * VECS_PER_LANE + i] = previous;
        h[i] = advance(previous, A[i], d, u[at], load(placeOfB(row, t, group, channel), stateOf(i, lane)));
      }
    }
    for (var k = 0u; k < count; k++) {
      let step = count - 1u - k;
      let t = tile * KEPT + step;
      let at = ((args.firstRow + row) * args.length + t) * args.dim + channel;
      let x = u[at];
      let both = stepAndSlope(delta[at] + bias);
      let d = both.x;
      let cotangent = dy[at];
      var gate = vec2f(1.0, 0.0);
      if (GATE) {
        gate = siluAndSlope(z[at]);
      }
      let ds = cotangent * gate.x;
      var sums = vec4f();
      for (var i = 0u; i < VECS_PER_LANE; i++) {
        let n = stateOf(i, lane);
        let b = load(placeOfB(row, t, group, channel), n);
        let c = load(placeOfC(row, t, group, channel), n);
        let rule = discretise(d, A[i]);
        let previous = before[step * VECS_PER_LANE + i];
        let input = x * b;
        let state = rule.decay * previous + rule.scale * input;
        g[i] += ds * c;
        sums += vec4f(
          sumOf(c * state),
          sumOf(g[i] * rule.scale * b),
          sumOf(g[i] * (previous * rule.decayByStep + input * rule.scaleByStep)),
          0.0,
        );
        dA[i] += g[i] * (previous * rule.decayByA + input * rule.scaleByA);
        let ofB = g[i] * rule.scale * x;
        let ofC = ds * state;
        dB[i] += ofB;
        dC[i] += ofC;
        g[i] = select(rule.decay * g[i], vec4f(), marked(row, t));
        if (!CONSTANT_B || !CONSTANT_C) {
          workgroupBarrier();
          products[index] = select(vec4f(), ofB, owned);
          products[WORKGROUP + index] = select(vec4f(), ofC, owned);
          workgroupBarrier();
          for (var output = index; output < 2u * LANES; output += WORKGROUP) {
            let side = output / LANES;
            let quad = output % LANES;
            var sum = vec4f();
            for (var slot = 0u; slot < channels; slot++) {
              sum += products[side * WORKGROUP + slot * LANES + quad];
            }
            let place = ((row * args.length + t) * args.groups * args.tilesPerGroup + tile_id.x) * 2u + side;
            store(args.atPartials + place * args.states, stateOf(i, quad), sum);
          }
        }
      }
      workgroupBarrier();
      parts[index] = sums;
      workgroupBarrier();
      if (lane == 0u && owned) {
        var sum = vec4f();
        for (var j = 0u; j < LANES; j++) {
          sum += parts[index + j];
        }
        du[at] = sum.y + ds * skip;
        let gradient = sum.z * both.y;
        ddelta[at] = gradient;
        dBias += gradient;
        dD += ds * x;
        if (GATE) {
          dz[at] = cotangent * gate.y * (sum.x + skip * x);
        }
      }
    }
  }

  if (owned) {
    let record = args.atRecords + (row * args.dim + channel) * args.record;
    for (var i = 0u; i < VECS_PER_LANE; i++) {
      let n = stateOf(i, lane);
      store(args.atFirst + ofRow, n, g[i]);
      store(record, n, dA[i]);
      if (CONSTANT_B) {
        store(record + args.states, n, dB[i]);
      }
      if (CONSTANT_C) {
        store(record + select(1u, 2u, CONSTANT_B) * args.states, n, dC[i]);
      }
    }
    if (lane == 0u) {
      let scalars = record + (1u + select(0u, 1u, CONSTANT_B) + select(0u, 1u, CONSTANT_C)) * args.states;
      workspace[scalars] = dD;
      workspace[scalars + 1u] = dBias;
    }
  }
}

/// The first state of a lane's vec4 i.
fn stateOf(i: u32, lane: u32) -> u32 {
  return 4u * (i * LANES + lane);
}

fn keptAt(row: u32, tile: u32, channel: u32) -> u32 {
  return args.atKept + ((row * args.tiles + tile) * args.dim + channel) * args.states;
}

fn placeOfB(row: u32, t: u32, group: u32, channel: u32) -> u32 {
  let place = (row * args.length + t) * args.groups + group;
  return args.atB + select(place, channel, CONSTANT_B) * args.states;
}

fn placeOfC(row: u32, t: u32, group: u32, channel: u32) -> u32 {
  let place = (row * args.length + t) * args.groups + group;
  return args.atC + select(place, channel, CONSTANT_C) * args.states;
}

fn marked(row: u32, t: u32) -> bool {
  return RESETS && bitcast<u32>(workspace[args.atMarks + row * args.length + t]) != 0u;
}

/// Four states from n on, zero past the last.
fn load(base: u32, n: u32) -> vec4f {
  var vec = vec4f();
  for (var i = 0u; i < 4u; i++) {
    vec[i] = select(0.0, workspace[base + min(n + i, args.states - 1u)], n + i < args.states);
  }
  return vec;
}

fn store(base: u32, n: u32, vec: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (n + i < args.states) {
      workspace[base + n + i] = vec[i];
    }
  }
}

fn sumOf(vec: vec4f) -> f32 {
  return (vec.x + vec.y) + (vec.z + vec.w);
}

/// The step size, and its derivative by delta.
fn stepAndSlope(x: f32) -> vec2f {
  if (SOFTPLUS) {
    return softplusAndSlope(x);
  }
  return vec2f(x, 1.0);
}

fn advance(h: vec4f, A: vec4f, d: f32, x: f32, b: vec4f) -> vec4f {
  let rule = discretise(d, A);
  return rule.decay * h + rule.scale * (x * b);
}

/// A step of a discretisation, h' = decay h + scale B u, with the derivatives of both factors.
struct Rule {
  decay: vec4f,
  scale: vec4f,
  decayByStep: vec4f,
  scaleByStep: vec4f,
  decayByA: vec4f,
  scaleByA: vec4f,
}

fn discretise(d: f32, A: vec4f) -> Rule {
  let p = d * A;
  if (DISCRETIZATION == 2u) {
    let inverse = vec4f(1.0) / (vec4f(1.0) - 0.5 * p);
    let square = inverse * inverse;
    return Rule((vec4f(1.0) + 0.5 * p) * inverse, d * inverse, A * square, square, d * square, (0.5 * d * d) * square);
  }
  let decay = exp(p);
  if (DISCRETIZATION == 0u) {
    return Rule(decay, vec4f(d), A * decay, vec4f(1.0), d * decay, vec4f());
  }
  return Rule(decay, d * growth(p, decay), A * decay, decay, d * decay, (d * d) * growthSlope(p, decay));
}

/// (exp(p) - 1) / p, with `e` = exp(p). Near 0, where that cancels, Σ p^k / (k + 1)!.
fn growth(p: vec4f, e: vec4f) -> vec4f {
  let near = abs(p) < vec4f(1.0);
  let q = select(vec4f(), p, near);
  var series = vec4f(1.0);
  for (var k = 11u; k > 0u; k--) {
    series = vec4f(1.0) + series * q / f32(k + 1u);
  }
  return select((e - vec4f(1.0)) / select(p, vec4f(1.0), near), series, near);
}

/// The derivative of (exp(p) - 1) / p: (p exp(p) - exp(p) + 1) / p². Near 0, Σ (k + 1) p^k / (k + 2)!.
fn growthSlope(p: vec4f, e: vec4f) -> vec4f {
  let near = abs(p) < vec4f(1.0);
  let q = select(vec4f(), p, near);
  var series = vec4f();
  var term = vec4f(0.5); // p^k / (k + 2)!
  for (var k = 0u; k < 12u; k++) {
    series += f32(k + 1u) * term;
    term *= q / f32(k + 3u);
  }
  let divisor = select(p, vec4f(1.0), near);
  return select((p * e - e + vec4f(1.0)) / (divisor * divisor), series, near);
}
