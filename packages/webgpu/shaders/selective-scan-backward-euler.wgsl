// link: scan-backward-args, math, slopes, lanes-{one,two,four}, scatter-{none,subgroup}
// The main dispatch of a backward scan of models: euler's discretisation, B and C that vary, up to 16 states, in fours.
// reference's operations/selective-scan-backward.ts has the equations; selective-scan-backward.wgsl runs other calls.
//
// A workgroup owns CHANNELS channels of one group, batch row and chunk of time. A channel is LANES lanes, which share
// its states and its steps, as in selective-scan-euler.wgsl; PER_LANE channels have the same lanes, which adds up their
// parts of dB and dC at once. Time goes by tiles of STEPS from the last to the first.
// For each tile the states are computed again from h before the tile, which selective-scan-backward-states.wgsl kept,
// or with GIVEN the forward scan, and h of every step stays in registers. Then the adjoint g goes back through the
// steps: it hands a_t g_t to the step before, and the gradients of a_t need the product of that with h_(t-1).
//
// dB and dC are sums over channels. Subgroups add up 2^ROUNDS channels by shuffles, after which each lane has LEFT of
// the sums; the CLUSTERS of channels meet in workgroup memory, SUMMED steps at a time, and the workgroup's sums go to
// the workspace. selective-scan-backward-sums.wgsl adds up the tiles of channels.
//
// All operands are loaded a tile ahead under a condition that the driver cannot see through; selective-scan-euler.wgsl
// tells why. Two barriers for each SUMMED steps.
//
// Bytes an element (batch · length · channel), f32: u, delta, z, dy read and du, ddelta, dz written, 28; h before tiles
// 4 · states / STEPS; B and C 8 · states / CHANNELS, and as much for the partial sums. Operations an element and state:
// 2 exp2, 13 multiplies or adds; beside them some 100 for softplus, silu, their derivatives, sums and addresses.

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> workspace: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> delta: array<f32>; // [batch, length, dim]
@group(0) @binding(4) var<storage, read> z: array<f32>; // [batch, length, dim]
@group(0) @binding(5) var<storage, read> dy: array<f32>; // [batch, length, dim]
@group(0) @binding(6) var<storage, read_write> du: array<f32>; // [batch, length, dim]
@group(0) @binding(7) var<storage, read_write> ddelta: array<f32>; // [batch, length, dim]
@group(0) @binding(8) var<storage, read_write> dz: array<f32>; // [batch, length, dim]
@group(0) @binding(9) var<storage, read> kept: array<vec4f>; // with GIVEN: [batch, tiles, dim, states / 4]

const CHANNELS: u32 = 64u; // constant
const STEPS: u32 = 16u; // constant: a multiple of LANES and of SUMMED
const PER_LANE: u32 = 1u; // constant: channels of a lane
const OWN: u32 = 4u; // constant: STEPS / LANES, steps of each channel that a lane loads and writes
const VECS: u32 = 1u; // constant: PER_LANE · VECS_PER_LANE
const HELD: u32 = 17u; // constant: (STEPS + 1) · VECS
const STAGED: u32 = 1u; // constant: WORKGROUP · STAGED vec4s cover B and C of a tile
const SUMMED: u32 = 8u; // constant: steps whose dB and dC are in workgroup memory at once
const BATCHES: u32 = 2u; // constant: STEPS / SUMMED
const ROUNDS: u32 = 0u; // constant
const VALUES: u32 = 8u; // constant: 8 · VECS_PER_LANE, elements of dB and dC that a lane has of a step
const HALF: u32 = 4u; // constant: VALUES / 2
const LEFT: u32 = 8u; // constant: VALUES / 2^ROUNDS
const CLUSTERS: u32 = 64u; // constant: CHANNELS / PER_LANE / 2^ROUNDS
const OUTPUTS: u32 = 1u; // constant: WORKGROUP · OUTPUTS vec4s cover dB and dC of SUMMED steps
/// 1 where the forward scan kept h before the tiles, in all of time and not only from the chunk's beginning.
const GIVEN: u32 = 0u; // constant
/// Whether there are 16 states, so that the compiler knows their number.
override FULL: bool = true;
override CHUNKED: bool = false;
override SOFTPLUS: bool = true;
override GATE: bool = true;
override RESETS: bool = false;
/// Whether the decays of a tile stay in registers as well, and no exp2 is computed twice.
override KEEP: bool = false;

const SLOTS = CHANNELS / PER_LANE;
const WORKGROUP = SLOTS * LANES;
const QUADS = 4u; // of states, the most
const PAIR = 8u * QUADS; // elements of dB and dC of a step
/// Floats from one step's sums to the next's. One more than they are, so that lanes which add up use all banks.
const STRIDE = CLUSTERS * PAIR + 1u;
const LOG2E = 1.44269504088896340736;
const LN2 = 0.6931471805599453;

var<workgroup> staged: array<array<array<vec4f, QUADS>, STEPS>, 2>; // B, C
var<workgroup> marks: array<u32, STEPS>;
var<workgroup> clusters: array<f32, SUMMED * STRIDE>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let group = tile_id.x / args.tilesPerGroup;
  // Lanes past the last channel of the group repeat it, add nothing and store nothing, so that barriers stay uniform.
  var owned: array<bool, PER_LANE>;
  var channels: array<u32, PER_LANE>;
  for (var e = 0u; e < PER_LANE; e++) { // unroll
    let inGroup = tile_id.x % args.tilesPerGroup * CHANNELS + e * SLOTS + index / LANES;
    owned[e] = inGroup < args.channelsPerGroup;
    channels[e] = group * args.channelsPerGroup + min(inGroup, args.channelsPerGroup - 1u);
  }
  let quads = quadsOfStates();
  let row = tile_id.z;
  let begin = tile_id.y * args.chunkLength;
  let end = min(begin + args.chunkLength, args.length);
  let tiles = (end - begin + STEPS - 1u) / STEPS;

  var bias: array<f32, PER_LANE>;
  var skip: array<f32, PER_LANE>;
  var a: array<vec4f, VECS>;
  var start: array<vec4f, VECS>; // h at the chunk's beginning
  var g: array<vec4f, VECS>;
  var dA: array<vec4f, VECS>;
  var dD: array<f32, PER_LANE>;
  var dBias: array<f32, PER_LANE>;
  for (var e = 0u; e < PER_LANE; e++) { // unroll
    let channel = channels[e];
    bias[e] = select(0.0, workspace[args.atBias + channel / 4u][channel % 4u], args.hasDeltaBias != 0u);
    skip[e] = select(0.0, workspace[args.atD + channel / 4u][channel % 4u], args.hasD != 0u);
    let ofChunk = ((row * args.chunks + tile_id.y) * args.dim + channel) * quads;
    for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
      let q = i * LANES + lane;
      if (q < quads) {
        a[e * VECS_PER_LANE + i] = LOG2E * workspace[args.atA + channel * quads + q];
        if (CHUNKED) {
          if (GIVEN == 0u) {
            start[e * VECS_PER_LANE + i] = workspace[args.atStates + ofChunk + q];
          }
          g[e * VECS_PER_LANE + i] = workspace[args.atAdjoints + ofChunk + q];
        } else if (args.hasLast != 0u) {
          g[e * VECS_PER_LANE + i] = workspace[args.atLast + (row * args.dim + channel) * quads + q];
        }
      }
    }
  }

  var next = load(begin + (tiles - 1u) * STEPS, end, row, group, channels, index);
  for (var turn = 0u; turn < tiles; turn++) {
    let first = begin + (tiles - 1u - turn) * STEPS;
    let count = min(STEPS, end - first);
    for (var r = 0u; r < STAGED; r++) { // unroll
      let j = r * WORKGROUP + index;
      if (j < 2u * STEPS * QUADS) {
        let step = j / QUADS % STEPS;
        let present = j % QUADS < quads && step < count;
        staged[j / (QUADS * STEPS)][step][j % QUADS] = select(vec4f(), next.pair[r], present);
      }
    }
    if (RESETS && index < STEPS) {
      marks[index] = select(0u, next.mark, index < count);
    }
    var x: array<f32, OWN * PER_LANE>; // u
    var d: array<f32, OWN * PER_LANE>;
    var w: array<f32, OWN * PER_LANE>; // d u
    var s: array<f32, OWN * PER_LANE>; // the cotangent of s
    var ofD: array<f32, OWN * PER_LANE>; // the derivative of d by delta
    var ofZ: array<f32, OWN * PER_LANE>; // dy silu'(z)
    var h: array<vec4f, VECS>;
    for (var e = 0u; e < PER_LANE; e++) { // unroll
      for (var m = 0u; m < OWN; m++) { // unroll
        // A step past the end, and a channel past the group's last, has d, u and dy 0, so it leaves h and g as they are
        // and adds nothing to dB and dC.
        let inside = m * LANES + lane < count && owned[e];
        let both = stepAndSlope(next.delta[e * OWN + m] + bias[e]);
        d[e * OWN + m] = select(0.0, both.x, inside);
        ofD[e * OWN + m] = both.y;
        x[e * OWN + m] = select(0.0, next.u[e * OWN + m], inside);
        w[e * OWN + m] = d[e * OWN + m] * x[e * OWN + m];
        s[e * OWN + m] = select(0.0, next.dy[e * OWN + m], inside);
        if (GATE) {
          let gate = siluAndSlope(next.z[e * OWN + m]);
          ofZ[e * OWN + m] = s[e * OWN + m] * gate.y;
          s[e * OWN + m] *= gate.x;
        }
      }
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        h[e * VECS_PER_LANE + i] = next.kept[e * VECS_PER_LANE + i];
        if (CHUNKED && GIVEN == 0u) {
          let carried = exp2(next.passed[e].x * a[e * VECS_PER_LANE + i]) * start[e * VECS_PER_LANE + i];
          h[e * VECS_PER_LANE + i] += select(vec4f(), carried, next.passed[e].y != 0.0);
        }
      }
    }
    if (turn + 1u < tiles) {
      next = load(first - STEPS, end, row, group, channels, index);
    }
    var ds: array<f32, STEPS * PER_LANE>;
    var ws: array<f32, STEPS * PER_LANE>;
    var ss: array<f32, STEPS * PER_LANE>;
    for (var e = 0u; e < PER_LANE; e++) { // unroll
      for (var m = 0u; m < OWN; m++) { // unroll
        let dm = spread(d[e * OWN + m], lane);
        let wm = spread(w[e * OWN + m], lane);
        let sm = spread(s[e * OWN + m], lane);
        for (var j = 0u; j < LANES; j++) { // unroll
          ds[e * STEPS + m * LANES + j] = dm[j];
          ws[e * STEPS + m * LANES + j] = wm[j];
          ss[e * STEPS + m * LANES + j] = sm[j];
        }
      }
    }
    workgroupBarrier();

    var hs: array<vec4f, HELD>; // h before the tile and after each of its steps
    var decays: array<vec4f, STEPS * VECS>;
    var ofY: array<f32, STEPS * PER_LANE>; // this lane's part of C · h
    for (var i = 0u; i < VECS; i++) { // unroll
      hs[i] = h[i];
    }
    for (var k = 0u; k < STEPS; k++) { // unroll
      for (var e = 0u; e < PER_LANE; e++) { // unroll
        var sum = vec4f();
        for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
          let decay = exp2(ds[e * STEPS + k] * a[e * VECS_PER_LANE + i]);
          var carried = decay * h[e * VECS_PER_LANE + i];
          if (KEEP) {
            decays[k * VECS + e * VECS_PER_LANE + i] = decay;
          }
          if (RESETS) {
            carried = select(carried, vec4f(), marks[k] != 0u);
          }
          h[e * VECS_PER_LANE + i] = carried + ws[e * STEPS + k] * staged[0][k][i * LANES + lane];
          hs[(k + 1u) * VECS + e * VECS_PER_LANE + i] = h[e * VECS_PER_LANE + i];
          if (GATE) {
            sum += staged[1][k][i * LANES + lane] * h[e * VECS_PER_LANE + i];
          }
        }
        ofY[e * STEPS + k] = sumOf(sum);
      }
    }

    var toInput: array<f32, STEPS * PER_LANE>; // this lane's part of g · B
    var toStep: array<f32, STEPS * PER_LANE>; // and of Σ g p A
    for (var b = 0u; b < BATCHES; b++) { // unroll
      for (var j = 0u; j < SUMMED; j++) { // unroll
        let k = STEPS - 1u - b * SUMMED - j;
        var dB: array<vec4f, VECS_PER_LANE>;
        var dC: array<vec4f, VECS_PER_LANE>;
        for (var e = 0u; e < PER_LANE; e++) { // unroll
          let dk = ds[e * STEPS + STEPS - 1u - b * SUMMED - j];
          let wk = ws[e * STEPS + STEPS - 1u - b * SUMMED - j];
          let sk = ss[e * STEPS + STEPS - 1u - b * SUMMED - j];
          var ofInput = vec4f();
          var ofStep = vec4f();
          for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
            var before = hs[(STEPS - 1u - b * SUMMED - j) * VECS + e * VECS_PER_LANE + i];
            let after = hs[(STEPS - b * SUMMED - j) * VECS + e * VECS_PER_LANE + i];
            let B = staged[0][k][i * LANES + lane];
            let adjoint = g[e * VECS_PER_LANE + i] + sk * staged[1][k][i * LANES + lane];
            var handed: vec4f;
            if (KEEP) {
              handed = decays[(STEPS - 1u - b * SUMMED - j) * VECS + e * VECS_PER_LANE + i] * adjoint;
            } else {
              handed = exp2(dk * a[e * VECS_PER_LANE + i]) * adjoint;
            }
            if (RESETS) {
              handed = select(handed, vec4f(), marks[k] != 0u);
              before = select(before, vec4f(), marks[k] != 0u);
            }
            let both = handed * before;
            // The first channel assigns: SwiftShader was seen to keep the last turn's values despite the declaration.
            if (e == 0u) {
              dB[i] = wk * adjoint;
              dC[i] = sk * after;
            } else {
              dB[i] += wk * adjoint;
              dC[i] += sk * after;
            }
            ofInput += adjoint * B;
            ofStep += a[e * VECS_PER_LANE + i] * both;
            dA[e * VECS_PER_LANE + i] += dk * both;
            g[e * VECS_PER_LANE + i] = handed;
          }
          toInput[e * STEPS + STEPS - 1u - b * SUMMED - j] = sumOf(ofInput);
          toStep[e * STEPS + STEPS - 1u - b * SUMMED - j] = sumOf(ofStep);
        }
        var values: array<f32, VALUES>;
        for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
          for (var part = 0u; part < 4u; part++) { // unroll
            values[4u * i + part] = dB[i][part];
            values[HALF + 4u * i + part] = dC[i][part];
          }
        }
        let sums = scatter(values, index);
        let place = j * STRIDE + index / (LANES << ROUNDS) * PAIR;
        for (var v = 0u; v < LEFT; v++) { // unroll
          clusters[place + elementOf(v, lane, index)] = sums[v];
        }
      }
      workgroupBarrier();
      for (var r = 0u; r < OUTPUTS; r++) { // unroll
        let output = r * WORKGROUP + index;
        let j = output / (2u * QUADS);
        let step = STEPS - 1u - b * SUMMED - j;
        let side = output / QUADS % 2u;
        let quad = output % QUADS;
        if (j < SUMMED && step < count && quad < quads) {
          var sum = vec4f();
          for (var cluster = 0u; cluster < CLUSTERS; cluster++) {
            let at = j * STRIDE + cluster * PAIR + output % (2u * QUADS) * 4u;
            sum += vec4f(clusters[at], clusters[at + 1u], clusters[at + 2u], clusters[at + 3u]);
          }
          let place = (row * args.length + first + step) * args.groups * args.tilesPerGroup + tile_id.x;
          workspace[args.atPartials + (2u * place + side) * quads + quad] = sum;
        }
      }
      if (b + 1u < BATCHES) {
        workgroupBarrier();
      }
    }

    for (var e = 0u; e < PER_LANE; e++) { // unroll
      for (var m = 0u; m < OWN; m++) { // unroll
        var outs: array<f32, LANES>;
        var inputs: array<f32, LANES>;
        var steps: array<f32, LANES>;
        for (var j = 0u; j < LANES; j++) { // unroll
          outs[j] = ofY[e * STEPS + m * LANES + j];
          inputs[j] = toInput[e * STEPS + m * LANES + j];
          steps[j] = toStep[e * STEPS + m * LANES + j];
        }
        let input = collect(inputs, lane);
        let gradient = (LN2 * collect(steps, lane) + x[e * OWN + m] * input) * ofD[e * OWN + m];
        let y = collect(outs, lane) + skip[e] * x[e * OWN + m];
        if (m * LANES + lane < count && owned[e]) {
          let at = ((args.firstRow + row) * args.length + first + m * LANES + lane) * args.dim + channels[e];
          du[at] = d[e * OWN + m] * input + s[e * OWN + m] * skip[e];
          ddelta[at] = gradient;
          if (GATE) {
            dz[at] = ofZ[e * OWN + m] * y;
          }
          dBias[e] += gradient;
          dD[e] += s[e * OWN + m] * x[e * OWN + m];
        }
      }
    }
  }

  for (var e = 0u; e < PER_LANE; e++) { // unroll
    let sumD = everyLane(dD[e], lane);
    let sumBias = everyLane(dBias[e], lane);
    if (owned[e]) {
      let record = args.atRecords + ((row * args.chunks + tile_id.y) * args.dim + channels[e]) * args.record;
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        let q = i * LANES + lane;
        if (q < quads) {
          workspace[record + q] = dA[e * VECS_PER_LANE + i];
          if (tile_id.y == 0u) {
            workspace[args.atFirst + (row * args.dim + channels[e]) * quads + q] = g[e * VECS_PER_LANE + i];
          }
        }
      }
      if (lane == 0u) {
        workspace[record + quads] = vec4f(sumD, sumBias, 0.0, 0.0);
      }
    }
  }
}

/// Vec4s of states that there are.
fn quadsOfStates() -> u32 {
  return select(args.states / 4u, QUADS, FULL);
}

/// What a lane loads of a tile. Indices past the chunk's end repeat its last step and are not used.
struct Next {
  delta: array<f32, OWN * PER_LANE>,
  u: array<f32, OWN * PER_LANE>,
  z: array<f32, OWN * PER_LANE>,
  dy: array<f32, OWN * PER_LANE>,
  kept: array<vec4f, VECS>,
  passed: array<vec4f, PER_LANE>,
  pair: array<vec4f, STAGED>,
  mark: u32,
}

fn load(first: u32, end: u32, row: u32, group: u32, channels: array<u32, PER_LANE>, index: u32) -> Next {
  var next: Next;
  let lane = index % LANES;
  let quads = quadsOfStates();
  for (var e = 0u; e < PER_LANE; e++) { // unroll
    for (var m = 0u; m < OWN; m++) { // unroll
      let t = min(first + m * LANES + lane, end - 1u);
      let at = ((args.firstRow + row) * args.length + t) * args.dim + channels[e];
      next.delta[e * OWN + m] = delta[at];
      next.u[e * OWN + m] = u[at];
      next.dy[e * OWN + m] = dy[at];
      if (GATE) {
        next.z[e * OWN + m] = z[at];
      }
    }
    let place = (row * args.tiles + first / STEPS) * args.dim + channels[e];
    for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
      if (GIVEN == 0u && i * LANES + lane < quads) {
        next.kept[e * VECS_PER_LANE + i] = workspace[args.atKept + place * quads + i * LANES + lane];
      }
      for (var given = 0u; given < GIVEN; given++) { // unroll
        if (i * LANES + lane < quads) {
          let at = place + args.firstRow * args.tiles * args.dim;
          next.kept[e * VECS_PER_LANE + i] = kept[at * quads + i * LANES + lane];
        }
      }
    }
    if (CHUNKED && GIVEN == 0u) {
      next.passed[e] = workspace[args.atPassed + place];
    }
  }
  for (var r = 0u; r < STAGED; r++) { // unroll
    let j = r * WORKGROUP + index;
    let t = min(first + j / QUADS % STEPS, end - 1u);
    let at = ((row * args.length + t) * args.groups + group) * quads + min(j % QUADS, quads - 1u);
    next.pair[r] = workspace[at + select(args.atB, args.atC, j >= QUADS * STEPS)];
  }
  if (RESETS) {
    let at = row * args.length + min(first + index % STEPS, end - 1u);
    next.mark = bitcast<u32>(workspace[args.atMarks + at / 4u][at % 4u]);
  }
  return next;
}

/// The place of a lane's v-th sum among a step's: dB of all states, then dC.
fn elementOf(v: u32, lane: u32, index: u32) -> u32 {
  var value = v;
  for (var r = 0u; r < ROUNDS; r++) { // unroll
    if ((index & (LANES << r)) != 0u) {
      value += VALUES >> (r + 1u);
    }
  }
  return value / HALF * 4u * QUADS + 4u * (value % HALF / 4u * LANES + lane) + value % 4u;
}

/// The sum of a value over the lanes of a channel, in one order for all of them.
fn everyLane(value: f32, lane: u32) -> f32 {
  let all = spread(value, lane);
  var sum = 0.0;
  for (var j = 0u; j < LANES; j++) { // unroll
    sum += all[j];
  }
  return sum;
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
