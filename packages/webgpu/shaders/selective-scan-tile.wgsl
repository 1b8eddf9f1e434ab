// link: math
// The fused selective scan for few channels and sequences that are not long, parallel over time inside a workgroup: one dispatch, one pass over
// memory. selective-scan.wgsl says what is computed, and runs what this one does not take: other discretisations than euler, resets,
// constant B or C, more than 16 states.
//
// A workgroup owns CHANNELS channels of one group and batch row for all of time, which goes by tiles of CHUNKS · STEPS steps. A lane is a
// channel and a chunk of STEPS steps with all 16 states in registers. In a tile each lane makes its decays, which it keeps, and its chunk's last
// state from zero; then a lane a (channel, state) hands the state from chunk to chunk, a chunk's whole decay being exp(A Σ delta); then
// each lane makes its steps again from its chunk's first state, with the decays that it kept, and writes y.
// B, C, delta, u and z are loaded a tile ahead.
//
// Bytes an element (batch · length · channel), f32: 16, and B and C 8 · states / CHANNELS. Operations an element: per state 1 + 1 / STEPS exp2 and
// 6 multiplies or adds (3 fused), and 4 / STEPS loads or stores of workgroup memory beside 12 vec4 loads of B and C a step.

struct Args {
  length: u32,
  dim: u32,
  states: u32,
  channelsPerGroup: u32,
  tilesPerGroup: u32,
  // Element strides of a time step and of a group, and where the first one lies.
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
@group(0) @binding(4) var<storage, read> B: array<f32>; // [batch · length, bRow]
@group(0) @binding(5) var<storage, read> C: array<f32>; // [batch · length, cRow]
@group(0) @binding(6) var<storage, read> constants: array<f32>; // A [dim, states], D [dim], deltaBias [dim]
@group(0) @binding(7) var<storage, read_write> y: array<f32>; // [batch, length, dim]
@group(0) @binding(8) var<storage, read_write> state: array<f32>; // [batch, dim, states]: the initial state, then the last one

const CHANNELS: u32 = 8u;
const CHUNKS: u32 = 16u;
const STEPS: u32 = 4u;
const QUADS: u32 = 4u; // of states
const WORKGROUP: u32 = 128u; // CHANNELS · CHUNKS lanes, and as many (channel, state) pairs
const TILE: u32 = 64u; // CHUNKS · STEPS
const ROUNDS: u32 = 2u; // TILE · QUADS vec4s are two a lane
/// vec4s of a chunk in workgroup memory, and floats of a lane's states: an odd number of banks apart.
const CHUNK: u32 = 17u;
const PADDED: u32 = 17u;
override SOFTPLUS: bool = true;
override BIAS: bool = true;
override SKIP: bool = true;
override GATE: bool = true;

var<workgroup> tileB: array<vec4f, CHUNKS * CHUNK>;
var<workgroup> tileC: array<vec4f, CHUNKS * CHUNK>;
var<workgroup> ends: array<f32, WORKGROUP * PADDED>;
var<workgroup> totals: array<f32, WORKGROUP>;

const LOG2E = 1.44269504088896340736;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let group = tile_id.x / args.tilesPerGroup;
  let firstInGroup = (tile_id.x % args.tilesPerGroup) * CHANNELS;
  let slot = index % CHANNELS;
  let chunk = index / CHANNELS;
  // Lanes past the last channel of the group repeat it and store nothing, so that barriers stay uniform.
  let owned = firstInGroup + slot < args.channelsPerGroup;
  let channel = group * args.channelsPerGroup + min(firstInGroup + slot, args.channelsPerGroup - 1u);
  let begin = tile_id.y * args.length;
  let end = begin + args.length;
  let vectors = args.dim * args.states;
  let bias = select(0.0, constants[vectors + args.dim + channel], BIAS);
  let skip = select(0.0, constants[vectors + channel], SKIP);
  var a: array<vec4f, QUADS>;
  for (var i = 0u; i < QUADS; i++) { // unroll
    for (var j = 0u; j < 4u; j++) { // unroll
      let known = constants[channel * args.states + min(i * 4u + j, args.states - 1u)];
      a[i][j] = select(0.0, known * LOG2E, i * 4u + j < args.states);
    }
  }

  // The (channel, state) that this lane hands from chunk to chunk.
  let pairSlot = index / 16u;
  let n = index % 16u;
  let pairOwned = firstInGroup + pairSlot < args.channelsPerGroup && n < args.states;
  let pairChannel = group * args.channelsPerGroup + min(firstInGroup + pairSlot, args.channelsPerGroup - 1u);
  let pairAt = min(n, args.states - 1u);
  let pairA = select(0.0, constants[pairChannel * args.states + pairAt] * LOG2E, n < args.states);
  let stateAt = (tile_id.y * args.dim + pairChannel) * args.states + pairAt;
  var carried = select(0.0, state[stateAt], n < args.states);

  let bBase = args.bOffset + group * args.bGroup;
  let cBase = args.cOffset + group * args.cGroup;
  var nextB: array<vec4f, ROUNDS>;
  var nextC: array<vec4f, ROUNDS>;
  var nextDelta: array<f32, STEPS>;
  var nextU: array<f32, STEPS>;
  var nextZ: array<f32, STEPS>;
  let tiles = (args.length + TILE - 1u) / TILE;
  // Turn 0 only loads; turn i loads tile i and computes tile i - 1.
  for (var turn = 0u; turn <= tiles; turn++) {
    let mine = begin + turn * TILE - TILE + chunk * STEPS;
    var ds: array<f32, STEPS>;
    var us: array<f32, STEPS>;
    var zs: array<f32, STEPS>;
    for (var k = 0u; k < STEPS; k++) { // unroll
      // A step past the sequence has delta 0 and input 0, which leaves the state as it is.
      let inside = mine + k < end;
      ds[k] = select(0.0, discretised(nextDelta[k] + bias), inside);
      us[k] = select(0.0, nextU[k], inside);
      zs[k] = nextZ[k];
    }
    if (turn > 0u) {
      for (var r = 0u; r < ROUNDS; r++) { // unroll
        let j = r * WORKGROUP + index;
        let place = j / (4u * STEPS) * CHUNK + j % (4u * STEPS);
        tileB[place] = nextB[r];
        tileC[place] = nextC[r];
      }
    }
    workgroupBarrier();
    let ahead = begin + min(turn, tiles - 1u) * TILE;
    for (var r = 0u; r < ROUNDS; r++) { // unroll
      let j = r * WORKGROUP + index;
      let row = min(ahead + j / 4u, end - 1u);
      for (var c = 0u; c < 4u; c++) { // unroll
        let at = (j % 4u) * 4u + c;
        let known = min(at, args.states - 1u);
        nextB[r][c] = select(0.0, B[bBase + row * args.bRow + known], at < args.states);
        nextC[r][c] = select(0.0, C[cBase + row * args.cRow + known], at < args.states);
      }
    }
    for (var k = 0u; k < STEPS; k++) { // unroll
      let row = min(ahead + chunk * STEPS + k, end - 1u);
      nextDelta[k] = delta[row * args.dim + channel];
      nextU[k] = u[row * args.dim + channel];
      if (GATE) {
        nextZ[k] = z[args.zOffset + row * args.zRow + channel];
      }
    }
    if (turn > 0u) {
      var h: array<vec4f, QUADS>;
      var decays: array<vec4f, 16>; // STEPS · QUADS
      var total = 0.0;
      // Said, not left to the declaration: Dawn on SwiftShader was seen to keep the last turn's values.
      for (var i = 0u; i < QUADS; i++) { // unroll
        h[i] = vec4f();
      }
      for (var k = 0u; k < STEPS; k++) { // unroll
        for (var i = 0u; i < QUADS; i++) { // unroll
          decays[k * QUADS + i] = exp2(ds[k] * a[i]);
          h[i] = decays[k * QUADS + i] * h[i] + (ds[k] * us[k]) * tileB[chunk * CHUNK + k * QUADS + i];
        }
        total += ds[k];
      }
      totals[index] = total;
      for (var i = 0u; i < QUADS; i++) { // unroll
        for (var j = 0u; j < 4u; j++) { // unroll
          ends[index * PADDED + i * 4u + j] = h[i][j];
        }
      }
      workgroupBarrier();
      for (var t = 0u; t < CHUNKS; t++) { // unroll
        let at = (t * CHANNELS + pairSlot) * PADDED + n;
        let last = ends[at];
        ends[at] = carried;
        carried = exp2(pairA * totals[t * CHANNELS + pairSlot]) * carried + last;
      }
      workgroupBarrier();
      for (var i = 0u; i < QUADS; i++) { // unroll
        for (var j = 0u; j < 4u; j++) { // unroll
          h[i][j] = ends[index * PADDED + i * 4u + j];
        }
      }
      for (var k = 0u; k < STEPS; k++) { // unroll
        var sum = vec4f();
        for (var i = 0u; i < QUADS; i++) { // unroll
          h[i] = decays[k * QUADS + i] * h[i] + (ds[k] * us[k]) * tileB[chunk * CHUNK + k * QUADS + i];
          sum += h[i] * tileC[chunk * CHUNK + k * QUADS + i];
        }
        var value = (sum.x + sum.y) + (sum.z + sum.w) + skip * us[k];
        if (GATE) {
          value *= silu(zs[k]);
        }
        if (owned && mine + k < end) {
          y[(mine + k) * args.dim + channel] = value;
        }
      }
    }
    workgroupBarrier();
  }
  if (pairOwned) {
    state[stateAt] = carried;
  }
}

fn discretised(x: f32) -> f32 {
  if (SOFTPLUS) {
    return softplus(x);
  }
  return x;
}
