// link: ssd-args, math, row-{quads,singles}, lane-sum-{workgroup,subgroup}
// Mamba-2's scan as its recurrence, for calls of a few steps (decode), in one dispatch. LANES lanes share CHANNELS
// channels of a head and their states, so that a piece of B and C serves several channels, and loads of their states
// are under way together. The state moves on in place. Bytes a state and step: 8.

// With DIRECT 1 it is A alone; else it has A, D, the bias and marks: see lib/ssd-args.wgsl.
@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> dt: array<f32>; // [batch, length, heads]
@group(0) @binding(4) var<storage, read> B: array<Piece>; // [batch, length, groups, state]
@group(0) @binding(5) var<storage, read> C: array<Piece>; // [batch, length, groups, state]
@group(0) @binding(6) var<storage, read> z: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(7) var<storage, read_write> carried: array<Piece>; // [batch, heads, headDim, state]
@group(0) @binding(8) var<storage, read_write> y: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(9) var<storage, read> D: array<f32>; // with DIRECT: [heads], or [heads, headDim]
@group(0) @binding(10) var<storage, read> dtBias: array<f32>; // with DIRECT: [heads]

/// 1 where A, D and the bias are bound as they are.
const DIRECT: u32 = 0u; // constant
/// At most LANES.
const CHANNELS: u32 = 4u;
const PAIRS: u32 = 2u; // CHANNELS / 2

override WORKGROUP: u32 = 64u;
override LANES: u32 = 32u;
override SOFTPLUS: bool = true;
override BIAS: bool = true;
override LIMITS: bool = false;
override RESETS: bool = false;
override GATE: bool = true;
override SKIP: bool = true;
/// Whether the state begins at zero, whatever `carried` holds.
override FRESH: bool = false;

const LOG2E = 1.44269504088896340736;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % LANES;
  let tiles = (args.headDim + CHANNELS - 1u) / CHANNELS;
  let tile = tile_id.x * (WORKGROUP / LANES) + index / LANES;
  // Lanes past the last tile, and past a head's last channel, repeat the last one: they write nothing.
  let there = tile < args.heads * tiles;
  let head = min(tile / tiles, args.heads - 1u);
  let p = tile % tiles * CHANNELS;
  let owned = select(0u, min(CHANNELS, args.headDim - p), there);
  let row = tile_id.y;
  let channels = args.heads * args.headDim;
  let channel = head * args.headDim + p;
  let pieces = args.state / PIECE;
  let place = (row * channels + channel) * pieces;
  for (var t = 0u; t < args.length; t++) {
    let ofX = rowPlace(row, t, args.xRow) + args.xOffset + channel;
    let ofB = (rowPlace(row, t, args.bRow) + args.bOffset + groupOf(head) * args.state) / PIECE;
    let ofC = (rowPlace(row, t, args.cRow) + args.cOffset + groupOf(head) * args.state) / PIECE;
    let cleared = (RESETS && bitcast<u32>(work[args.atMarks + row * args.length + t]) != 0u) || (FRESH && t == 0u);
    var raw = dt[rowPlace(row, t, args.dtRow) + args.dtOffset + head];
    if (BIAS && DIRECT == 0u) {
      raw += work[args.atBias + head];
    }
    for (var direct = 0u; direct < DIRECT; direct++) { // unroll
      if (BIAS) {
        raw += dtBias[head];
      }
    }
    var inputs: array<f32, CHANNELS>;
    for (var k = 0u; k < CHANNELS; k++) { // unroll
      inputs[k] = x[ofX + min(k, args.headDim - 1u - p)];
    }
    // What is loaded first is on its way while the step's size is computed.
    var ofBs = Piece();
    var ofCs = Piece();
    var before: array<Piece, CHANNELS>;
    if (lane < pieces) {
      ofBs = B[ofB + lane];
      ofCs = C[ofC + lane];
      if (!cleared) {
        for (var k = 0u; k < CHANNELS; k++) { // unroll
          before[k] = carried[place + min(k, args.headDim - 1u - p) * pieces + lane];
        }
      }
    }
    var d = raw;
    if (SOFTPLUS) {
      d = softplus(raw);
    }
    // A NaN stays, for which an implementation's min and max may give anything.
    if (LIMITS && (bitcast<u32>(d) & 0x7fffffffu) <= 0x7f800000u) {
      let above = max(d, args.dtMin);
      d = select(min(above, args.dtMax), above, args.dtMax >= 3.4028234e38);
    }
    let change = d * (work[head] * LOG2E);
    var decay = exp2(max(change, -32768.0));
    if ((bitcast<u32>(change) & 0x7fffffffu) > 0x7f800000u) {
      decay = change;
    }
    var sums = array<f32, CHANNELS>();
    for (var n = lane; n < pieces; n += LANES) {
      if (n != lane) {
        ofBs = B[ofB + n];
        ofCs = C[ofC + n];
        if (!cleared) {
          for (var k = 0u; k < CHANNELS; k++) { // unroll
            before[k] = carried[place + min(k, args.headDim - 1u - p) * pieces + n];
          }
        }
      }
      for (var k = 0u; k < CHANNELS; k++) { // unroll
        var h = d * inputs[k] * ofBs;
        if (!cleared) {
          h += decay * before[k];
        }
        if (k < owned) {
          carried[place + k * pieces + n] = h;
        }
        sums[k] += sumOf(h * ofCs);
      }
    }
    var value = 0.0;
    for (var k = 0u; k < PAIRS; k++) { // unroll
      let pair = laneSum(vec2f(sums[2u * k], sums[2u * k + 1u]), index);
      value = select(value, pair.x, lane == 2u * k);
      value = select(value, pair.y, lane == 2u * k + 1u);
    }
    if (lane < owned) {
      if (SKIP) {
        let input = x[ofX + lane];
        let at = head * args.dHead + (p + lane) * args.dChannel;
        if (DIRECT == 0u) {
          value += work[args.atD + at] * input;
        }
        for (var direct = 0u; direct < DIRECT; direct++) { // unroll
          value += D[at] * input;
        }
      }
      if (GATE) {
        value *= silu(z[rowPlace(row, t, args.zRow) + args.zOffset + channel + lane]);
      }
      y[rowPlace(row, t, channels) + channel + lane] = value;
    }
  }
}
