// link: scan-args, math, rate, lanes-{one,two,four}, stored-{floats,halves}
// The fused selective scan for the calls of models, where it is the faster kernel: euler's discretisation, B and C that
// vary and lie in vec4s, no resets, and up to 16 states, in fours. selective-scan.wgsl defines what is computed, and
// runs all other calls.
//
// A workgroup owns CHANNELS channels of one group, batch row and chunk of time (as selective-scan.wgsl cuts it, with
// the same MODEs). A channel is LANES lanes, which share its states and its steps: each loads its part of the steps and
// discretises it, tells the others, and gathers and writes y of it.
//
// Time goes by tiles of SLICES · STEPS. With one slice a lane goes through all steps of a tile. With more, SLICES sets
// of lanes compute their slices of a tile side by side: the decays and inputs of each step, which stay in registers,
// the slice's last state from zero and its whole decay exp(A Σ delta). Then each set takes the tile's first state
// through the slices before its own, and computes its steps again.
//
// All operands are loaded a tile ahead (B and C two tiles, with slices) under a condition that the driver cannot see
// through. Otherwise the driver moves the loads down to where their values are used, and every tile waits for memory.
// For the same reason no loaded value is used before its tile comes: zeros replace missing states and steps only on the
// way to workgroup memory. One barrier a tile: B and C have two buffers, and three with slices, which read them on both
// of its sides; what slices hand over has two.
//
// With KEEP the state before every KEPT steps is written as well, for selective-scan-backward-euler.wgsl.
//
// Bytes an element (batch · length · channel), f32: MODE 0 and 2 16 (8 where activations are halves), and B and C 8 ·
// states / CHANNELS; MODE 1 8 (4), and B 4 · states / CHANNELS; KEEP 4 · states / KEPT. Operations an element and
// state: 1 exp2, 5 multiplies or adds (2 fused; 6 and 3 with slices); beside them some 80 for softplus, silu, addresses
// and sums, once an element.

@group(0) @binding(4) var<storage, read> B: array<vec4f>; // [batch · length, bRow]
@group(0) @binding(5) var<storage, read> C: array<vec4f>; // [batch · length, cRow]
@group(0) @binding(9) var<storage, read_write> kept: array<vec4f>; // with KEEP: [batch, keptTiles, dim, states / 4]

const CHANNELS: u32 = 8u; // constant
const SLICES: u32 = 4u; // constant
const STEPS: u32 = 8u; // constant: a multiple of LANES
const OWN: u32 = 2u; // constant: STEPS / LANES, steps that a lane loads and writes
const STAGED: u32 = 1u; // constant: WORKGROUP · STAGED vec4s of B, and of C, cover a tile
const HELD: u32 = 8u; // constant: STEPS · VECS_PER_LANE
const BUFFERS: u32 = 3u; // constant: of B and C: 2 where there is one slice, else 3
const HANDED: u32 = 3u; // constant: SLICES - 1, the slices whose ends others need
const EXCHANGED: u32 = 32u; // constant: lanes of a slice, or 1 where there is only one slice
/// Whether there are 16 states. Otherwise the missing ones are left out of y, since an infinite input times their B of
/// 0 is NaN.
override FULL: bool = true;

const SLOTS = CHANNELS * LANES;
const WORKGROUP = SLOTS * SLICES;
const TILE = SLICES * STEPS;
const QUADS = 4u; // of states

var<workgroup> tileB: array<array<array<array<vec4f, QUADS>, STEPS>, SLICES>, BUFFERS>;
var<workgroup> tileC: array<array<array<array<vec4f, QUADS>, STEPS>, SLICES>, BUFFERS>;
// For each slice but the last: its last state from zero, and its whole decay. The last one's place holds the tile's
// first state.
var<workgroup> ends: array<array<array<array<vec4f, EXCHANGED>, VECS_PER_LANE>, SLICES>, 2>;
var<workgroup> falls: array<array<array<array<vec4f, EXCHANGED>, VECS_PER_LANE>, SLICES>, 2>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let slot = index % SLOTS;
  let slice = index / SLOTS;
  let group = tile_id.x / args.tilesPerGroup;
  // Lanes past the last channel of the group repeat it and store nothing, so that barriers stay uniform.
  let inGroup = tile_id.x % args.tilesPerGroup * CHANNELS + slot / LANES;
  let owned = inGroup < args.channelsPerGroup;
  let channel = group * args.channelsPerGroup + min(inGroup, args.channelsPerGroup - 1u);

  let begin = tile_id.y * args.chunkLength;
  let end = min(begin + args.chunkLength, args.length);
  let tiles = (end - begin + TILE - 1u) / TILE;
  let firstRow = tile_id.z * args.length + begin;
  let vectors = args.dim * args.states;
  let bias = select(0.0, constants[vectors + args.dim + channel], args.hasDeltaBias != 0u);
  let skip = select(0.0, constants[vectors + channel], args.hasD != 0u);

  // A lane holds a channel's quads of states `lane`, `lane + LANES`, …; quads past the states are zero.
  let stateRow = select(tile_id.z, tile_id.z * args.chunks + tile_id.y, MODE != 0u);
  let stateBase = (stateRow * args.dim + channel) * args.states;
  var a: array<vec4f, VECS_PER_LANE>;
  var h: array<vec4f, VECS_PER_LANE>;
  var total = 0.0;
  for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
    let n = 4u * (i * LANES + lane);
    if (n < args.states) {
      let at = channel * args.states + n;
      let rates = LOG2E * vec4f(constants[at], constants[at + 1u], constants[at + 2u], constants[at + 3u]);
      if (MODE != 1u && args.begun != 0u) {
        let first = stateBase + n;
        h[i] = vec4f(state[first], state[first + 1u], state[first + 2u], state[first + 3u]);
      }
      for (var j = 0u; j < 4u; j++) { // unroll
        a[i][j] = finiteRate(rates[j], 0u);
        if (MODE != 1u) {
          h[i][j] = beginning(h[i][j], rates[j], 0u);
        }
      }
    }
    if (SLICES > 1u && slice == 0u) {
      ends[0][HANDED][i][slot] = h[i];
    }
  }

  // The places of this lane's next elements, and of its next vec4s of B and C. Past the sequence the last row is read
  // again and not used.
  let ownRow = firstRow + slice * STEPS + lane;
  let stagedRow = firstRow + index / QUADS;
  let quad = index % QUADS;
  var at = ownRow * args.dim + channel;
  var atZ = args.zOffset + ownRow * args.zRow + channel;
  var atB = args.bOffset + stagedRow * args.bRow + group * args.bGroup + quad;
  var atC = args.cOffset + stagedRow * args.cRow + group * args.cGroup + quad;
  let lastRow = firstRow + (end - begin) - 1u;
  let last = Last(
    lastRow * args.dim + channel,
    args.zOffset + lastRow * args.zRow + channel,
    args.bOffset + lastRow * args.bRow + group * args.bGroup + quad,
    args.cOffset + lastRow * args.cRow + group * args.cGroup + quad,
  );
  var atY = at;
  var left = end - min(begin + slice * STEPS + lane, end);
  var rows = end - begin; // left, from the tile on that is staged next
  var nextB = loadB(atB, last);
  var nextC = loadC(atC, last);
  if (SLICES > 1u) {
    stage(0u, index, rows, nextB, nextC);
    rows -= min(rows, TILE);
    atB += TILE * args.bRow;
    atC += TILE * args.cRow;
    nextB = loadB(atB, last);
    nextC = loadC(atC, last);
  }
  var next = loadOwn(at, atZ, last);
  if (SLICES > 1u) {
    workgroupBarrier();
  }

  var buffer = 0u;
  for (var tile = 0u; tile < tiles; tile++) {
    let half = tile & 1u;
    let after = select(buffer + 1u, 0u, buffer == BUFFERS - 1u);
    stage(select(buffer, after, SLICES > 1u), index, rows, nextB, nextC);
    rows -= min(rows, TILE);
    var d: array<f32, OWN>;
    var x: array<f32, OWN>; // u
    var w: array<f32, OWN>; // delta u
    let gate = next.z; // converted where it is used
    for (var m = 0u; m < OWN; m++) { // unroll
      // A step past the end has delta 0 and input 0, which leaves the state as it is.
      let inside = left > m * LANES;
      d[m] = select(0.0, discretised(f32(next.delta[m]) + bias), inside);
      x[m] = select(0.0, f32(next.u[m]), inside);
      w[m] = d[m] * x[m];
    }
    if (tile + 1u < tiles) {
      at += TILE * args.dim;
      atZ += TILE * args.zRow;
      atB += TILE * args.bRow;
      atC += TILE * args.cRow;
      next = loadOwn(at, atZ, last);
      nextB = loadB(atB, last);
      nextC = loadC(atC, last);
    }

    var ds: array<f32, STEPS>;
    var ws: array<f32, STEPS>;
    for (var m = 0u; m < OWN; m++) { // unroll
      let dm = spread(d[m], lane);
      let wm = spread(w[m], lane);
      for (var j = 0u; j < LANES; j++) { // unroll
        ds[m * LANES + j] = dm[j];
        ws[m * LANES + j] = wm[j];
      }
    }
    var decays: array<vec4f, HELD>;
    var inputs: array<vec4f, HELD>;
    if (SLICES > 1u) {
      var fromZero: array<vec4f, VECS_PER_LANE>;
      var passed = 0.0;
      // The zeros are assigned, since Dawn on SwiftShader was seen to keep the last turn's values despite the
      // declaration.
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        fromZero[i] = vec4f();
      }
      for (var k = 0u; k < STEPS; k++) { // unroll
        for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
          decays[k * VECS_PER_LANE + i] = exp2(ds[k] * a[i]);
          inputs[k * VECS_PER_LANE + i] = ws[k] * tileB[buffer][slice][k][i * LANES + lane];
          fromZero[i] = decays[k * VECS_PER_LANE + i] * fromZero[i] + inputs[k * VECS_PER_LANE + i];
        }
        passed += ds[k];
      }
      if (slice < HANDED) {
        for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
          ends[half][slice][i][slot] = fromZero[i];
          falls[half][slice][i][slot] = exp2(passed * a[i]);
        }
      }
    }
    workgroupBarrier();
    if (SLICES > 1u) {
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        h[i] = ends[half][HANDED][i][slot];
      }
      for (var s = 0u; s < HANDED; s++) { // unroll
        if (slice > s) {
          for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
            h[i] = falls[half][s][i][slot] * h[i] + ends[half][s][i][slot];
          }
        }
      }
    }
    var sums: array<f32, STEPS>;
    for (var k = 0u; k < STEPS; k++) { // unroll
      for (var keep = 0u; keep < KEEP; keep++) { // unroll
        let step = tile * TILE + slice * STEPS + k;
        if (k % KEPT == 0u && step % KEPT == 0u && begin + step < end && owned) {
          let place = (tile_id.z * args.keptTiles + (begin + step) / KEPT) * args.dim + channel;
          for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
            if (4u * (i * LANES + lane) < args.states) {
              kept[place * (args.states / 4u) + i * LANES + lane] = h[i];
            }
          }
        }
      }
      var sum = vec4f();
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        if (SLICES > 1u) {
          h[i] = decays[k * VECS_PER_LANE + i] * h[i] + inputs[k * VECS_PER_LANE + i];
        } else {
          h[i] = exp2(ds[k] * a[i]) * h[i] + ws[k] * tileB[buffer][0][k][i * LANES + lane];
        }
        if (MODE != 1u) {
          let added = h[i] * tileC[buffer][slice][k][i * LANES + lane];
          if (FULL) {
            sum += added;
          } else {
            sum += select(vec4f(), added, 4u * (i * LANES + lane) < args.states);
          }
        }
      }
      sums[k] = (sum.x + sum.y) + (sum.z + sum.w);
      total += ds[k];
    }
    var results: array<f32, OWN>;
    if (MODE != 1u) {
      for (var m = 0u; m < OWN; m++) { // unroll
        var parts: array<f32, LANES>;
        for (var j = 0u; j < LANES; j++) { // unroll
          parts[j] = sums[m * LANES + j];
        }
        results[m] = collect(parts, lane) + skip * x[m];
        if (GATE) {
          results[m] *= silu(f32(gate[m]));
        }
      }
    }
    if (SLICES > 1u && slice == SLICES - 1u) {
      for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
        ends[1u - half][HANDED][i][slot] = h[i];
      }
    }
    if (MODE != 1u && owned) {
      if (left > STEPS - LANES) {
        for (var m = 0u; m < OWN; m++) { // unroll
          y[atY + m * LANES * args.dim] = Stored(results[m]);
        }
      } else {
        for (var m = 0u; m < OWN; m++) { // unroll
          if (left > m * LANES) {
            y[atY + m * LANES * args.dim] = Stored(results[m]);
          }
        }
      }
    }
    atY += TILE * args.dim;
    left -= min(left, TILE);
    buffer = after;
  }

  if (owned && slice == SLICES - 1u && MODE != 2u) {
    for (var i = 0u; i < VECS_PER_LANE; i++) { // unroll
      let n = 4u * (i * LANES + lane);
      if (n < args.states) {
        for (var j = 0u; j < 4u; j++) { // unroll
          state[stateBase + n + j] = h[i][j];
        }
      }
    }
    if (MODE == 1u && lane == 0u) {
      let summary = args.summaries + 2u * ((tile_id.z * args.chunks + tile_id.y) * args.dim + channel);
      state[summary] = total;
      state[summary + 1u] = 1.0;
    }
  }
}

struct Own {
  delta: array<Stored, OWN>,
  u: array<Stored, OWN>,
  z: array<Stored, OWN>,
}

/// The largest index of each operand; indices are clamped to it.
struct Last {
  at: u32,
  z: u32,
  b: u32,
  c: u32,
}

fn loadOwn(at: u32, atZ: u32, last: Last) -> Own {
  var own: Own;
  for (var m = 0u; m < OWN; m++) { // unroll
    own.delta[m] = delta[min(at + m * LANES * args.dim, last.at)];
    own.u[m] = u[min(at + m * LANES * args.dim, last.at)];
    if (GATE) {
      own.z[m] = z[min(atZ + m * LANES * args.zRow, last.z)];
    }
  }
  return own;
}

fn loadB(at: u32, last: Last) -> array<vec4f, STAGED> {
  var values: array<vec4f, STAGED>;
  for (var r = 0u; r < STAGED; r++) { // unroll
    values[r] = B[min(at + r * (WORKGROUP / QUADS) * args.bRow, last.b)];
  }
  return values;
}

fn loadC(at: u32, last: Last) -> array<vec4f, STAGED> {
  var values: array<vec4f, STAGED>;
  if (MODE != 1u) {
    for (var r = 0u; r < STAGED; r++) { // unroll
      values[r] = C[min(at + r * (WORKGROUP / QUADS) * args.cRow, last.c)];
    }
  }
  return values;
}

/// Writes B and C of a tile to workgroup memory. `rows` are left of the chunk; values past the states and past the end
/// are zero.
fn stage(buffer: u32, index: u32, rows: u32, b: array<vec4f, STAGED>, c: array<vec4f, STAGED>) {
  let quad = index % QUADS;
  for (var r = 0u; r < STAGED; r++) { // unroll
    let step = (r * WORKGROUP + index) / QUADS;
    if (step < TILE) {
      tileB[buffer][step / STEPS][step % STEPS][quad] = select(vec4f(), b[r], quad * 4u < args.states && step < rows);
      if (MODE != 1u) {
        tileC[buffer][step / STEPS][step % STEPS][quad] = select(vec4f(), c[r], quad * 4u < args.states && step < rows);
      }
    }
  }
}
