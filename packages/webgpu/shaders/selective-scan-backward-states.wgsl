// link: scan-backward-args, math, slopes, lanes-{one,two,four}
// The first dispatch of a backward scan of models (selective-scan-backward-euler.wgsl): it goes forward through the
// recurrence and keeps h before each tile of STEPS steps. With GIVEN the forward scan has kept them, and the dispatch,
// which there is with CHUNKED alone then, leaves what concerns adjoints.
//
// A workgroup owns CHANNELS channels of one group, batch row and chunk of time. A channel is LANES lanes, which share
// its states and its steps, as in selective-scan-euler.wgsl; loads are made a tile ahead for the reasons told there.
//
// With CHUNKED, h begins at zero in every chunk, and the chunk leaves what the carry needs: its last h, Σ d, and the
// adjoint that it alone hands to the chunk before it. That adjoint, Σ_t (Π_(s ≤ t) a_s) C_t ds_t, is formed in the
// order of time with the running product of the decays, so u, delta and B are read once for both directions.
//
// Bytes an element, f32: u and delta, 8, and 4 · states / STEPS written; with CHUNKED dy and z as well, 16, and
// 16 / STEPS more written; B (and C) 4 · states / CHANNELS each. With GIVEN delta, dy, z and C alone. Operations an
// element and state: 1 exp2, 3 multiplies or adds; with CHUNKED 6, and 4 with GIVEN.

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> workspace: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> delta: array<f32>; // [batch, length, dim]
@group(0) @binding(4) var<storage, read> z: array<f32>; // [batch, length, dim]
@group(0) @binding(5) var<storage, read> dy: array<f32>; // [batch, length, dim]

const CHANNELS: u32 = 16u; // constant
const STEPS: u32 = 16u; // constant: a multiple of LANES
const OWN: u32 = 4u; // constant: STEPS / LANES, steps that a lane loads
const SIDES: u32 = 1u; // constant: 1 where only B is staged, or C with GIVEN; 2 where both are
const STAGED: u32 = 1u; // constant: WORKGROUP · STAGED vec4s cover B, and C, of a tile
/// Whether there are 16 states, so that the compiler knows their number.
override FULL: bool = true;
override CHUNKED: bool = false;
override GIVEN: bool = false;
override SOFTPLUS: bool = true;
override GATE: bool = true;
override RESETS: bool = false;

const WORKGROUP = CHANNELS * LANES;
const QUADS = 4u; // of states, the most
const LOG2E = 1.44269504088896340736;

var<workgroup> staged: array<array<array<array<vec4f, QUADS>, STEPS>, SIDES>, 2>;
var<workgroup> marks: array<array<u32, STEPS>, 2>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let group = tile_id.x / args.tilesPerGroup;
  // Lanes past the last channel of the group repeat it and store nothing, so that barriers stay uniform.
  let inGroup = tile_id.x % args.tilesPerGroup * CHANNELS + index / LANES;
  let owned = inGroup < args.channelsPerGroup;
  let channel = group * args.channelsPerGroup + min(inGroup, args.channelsPerGroup - 1u);
  let quads = quadsOfStates();
  let row = tile_id.z;
  let begin = tile_id.y * args.chunkLength;
  let end = min(begin + args.chunkLength, args.length);
  let tiles = (end - begin + STEPS - 1u) / STEPS;
  let bias = select(0.0, workspace[args.atBias + channel / 4u][channel % 4u], args.hasDeltaBias != 0u);

  var a: array<vec4f, VECS_PER_LANE>;
  var h: array<vec4f, VECS_PER_LANE>;
  var fall: array<vec4f, VECS_PER_LANE>; // the product of the chunk's decays so far
  var adjoint: array<vec4f, VECS_PER_LANE>;
  for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
    let q = i * LANES + lane;
    if (q < quads) {
      a[i] = LOG2E * workspace[args.atA + channel * quads + q];
      if (!CHUNKED && args.hasInitial != 0u) {
        h[i] = workspace[args.atInitial + (row * args.dim + channel) * quads + q];
      }
    }
    fall[i] = vec4f(1.0);
  }
  var total = 0.0;
  var survived = 1.0;

  var next = load(begin, end, row, group, channel, index);
  for (var tile = 0u; tile < tiles; tile++) {
    let half = tile & 1u;
    let first = begin + tile * STEPS;
    let count = min(STEPS, end - first);
    let kept = (row * args.tiles + first / STEPS) * args.dim + channel;
    if (owned && !GIVEN) {
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        if (i * LANES + lane < quads) {
          workspace[args.atKept + kept * quads + i * LANES + lane] = h[i];
        }
      }
      if (CHUNKED && lane == 0u) {
        workspace[args.atPassed + kept] = vec4f(total, survived, 0.0, 0.0);
      }
    }
    for (var r = 0u; r < STAGED; r++) { // unroll
      let j = r * WORKGROUP + index;
      if (j < SIDES * STEPS * QUADS) {
        let step = j / QUADS % STEPS;
        let present = j % QUADS < quads && step < count;
        staged[half][j / (QUADS * STEPS)][step][j % QUADS] = select(vec4f(), next.pair[r], present);
      }
    }
    if (RESETS && index < STEPS) {
      marks[half][index] = select(0u, next.mark, index < count);
    }
    var d: array<f32, OWN>;
    var w: array<f32, OWN>; // d u
    var s: array<f32, OWN>; // the cotangent of s
    for (var m = 0u; m < OWN; m++) { // unroll
      // A step past the end has d, u and dy 0, which leaves h and the adjoint as they are.
      let inside = m * LANES + lane < count;
      d[m] = select(0.0, stepOf(next.delta[m] + bias), inside);
      if (!GIVEN) {
        w[m] = d[m] * select(0.0, next.u[m], inside);
      }
      if (CHUNKED) {
        s[m] = select(0.0, next.dy[m], inside);
        if (GATE) {
          s[m] *= silu(next.z[m]);
        }
      }
    }
    if (tile + 1u < tiles) {
      next = load(first + STEPS, end, row, group, channel, index);
    }
    var ds: array<f32, STEPS>;
    var ws: array<f32, STEPS>;
    var ss: array<f32, STEPS>;
    for (var m = 0u; m < OWN; m++) { // unroll
      let dm = spread(d[m], lane);
      let wm = spread(w[m], lane);
      let sm = spread(s[m], lane);
      for (var j = 0u; j < LANES; j++) { // unroll
        ds[m * LANES + j] = dm[j];
        ws[m * LANES + j] = wm[j];
        ss[m * LANES + j] = sm[j];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < STEPS; k++) { // unroll
      var cut = false;
      if (RESETS) {
        cut = marks[half][k] != 0u;
        total = select(total, 0.0, cut);
        survived = select(survived, 0.0, cut);
      }
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        let decay = exp2(ds[k] * a[i]);
        if (!GIVEN) {
          var before = decay * h[i];
          if (RESETS) {
            before = select(before, vec4f(), cut);
          }
          h[i] = before + ws[k] * staged[half][0][k][i * LANES + lane];
        }
        if (CHUNKED) {
          fall[i] *= decay;
          if (RESETS) {
            fall[i] = select(fall[i], vec4f(), cut);
          }
          adjoint[i] += fall[i] * (ss[k] * staged[half][SIDES - 1u][k][i * LANES + lane]);
        }
      }
      total += ds[k];
    }
  }

  if (CHUNKED && owned) {
    let summary = (row * args.chunks + tile_id.y) * args.dim + channel;
    for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
      let q = i * LANES + lane;
      if (q < quads) {
        if (!GIVEN) {
          workspace[args.atStates + summary * quads + q] = h[i];
        }
        workspace[args.atAdjoints + summary * quads + q] = adjoint[i];
      }
    }
    if (lane == 0u) {
      workspace[args.atTotals + summary] = vec4f(total, survived, 0.0, 0.0);
    }
  }
}

/// Vec4s of states that there are.
fn quadsOfStates() -> u32 {
  return select(args.states / 4u, QUADS, FULL);
}

/// What a lane loads of a tile. Indices past the chunk's end repeat its last step and are not used.
struct Next {
  delta: array<f32, OWN>,
  u: array<f32, OWN>,
  z: array<f32, OWN>,
  dy: array<f32, OWN>,
  pair: array<vec4f, STAGED>,
  mark: u32,
}

fn load(first: u32, end: u32, row: u32, group: u32, channel: u32, index: u32) -> Next {
  var next: Next;
  let rows = args.firstRow * args.length;
  for (var m = 0u; m < OWN; m++) { // unroll
    let t = min(first + m * LANES + index % LANES, end - 1u);
    let at = (rows + row * args.length + t) * args.dim + channel;
    next.delta[m] = delta[at];
    if (!GIVEN) {
      next.u[m] = u[at];
    }
    if (CHUNKED) {
      next.dy[m] = dy[at];
      if (GATE) {
        next.z[m] = z[at];
      }
    }
  }
  let quads = quadsOfStates();
  for (var r = 0u; r < STAGED; r++) { // unroll
    let j = r * WORKGROUP + index;
    let t = min(first + j / QUADS % STEPS, end - 1u);
    let at = ((row * args.length + t) * args.groups + group) * quads + min(j % QUADS, quads - 1u);
    next.pair[r] = workspace[at + select(args.atB, args.atC, GIVEN || j >= QUADS * STEPS)];
  }
  if (RESETS) {
    let at = row * args.length + min(first + index % STEPS, end - 1u);
    next.mark = bitcast<u32>(workspace[args.atMarks + at / 4u][at % 4u]);
  }
  return next;
}

fn stepOf(x: f32) -> f32 {
  if (SOFTPLUS) {
    return softplusAndSlope(x).x;
  }
  return x;
}
