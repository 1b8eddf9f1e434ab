// link: ssd-args, math, lane-sum-{workgroup,subgroup}
// Mamba-2's scan as its recurrence, for calls of a few steps (decode), in one dispatch. LANES lanes share a channel of
// a head and its states; the state moves on in place. Bytes a state and step: 8.

@group(0) @binding(1) var<storage, read> work: array<f32>; // A, D, bias and marks alone
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> dt: array<f32>; // [batch, length, heads]
@group(0) @binding(4) var<storage, read> B: array<f32>; // [batch, length, groups, state]
@group(0) @binding(5) var<storage, read> C: array<f32>; // [batch, length, groups, state]
@group(0) @binding(6) var<storage, read> z: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(7) var<storage, read_write> carried: array<f32>; // [batch, heads, headDim, state]
@group(0) @binding(8) var<storage, read_write> y: array<f32>; // [batch, length, heads, headDim]

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
  let channels = args.heads * args.headDim;
  let local = tile_id.x * (WORKGROUP / LANES) + index / LANES;
  let owned = local < channels;
  let channel = min(local, channels - 1u);
  let head = channel / args.headDim;
  let p = channel % args.headDim;
  let row = tile_id.y;
  let group = groupOf(head);
  let place = (row * channels + channel) * args.state;
  for (var t = 0u; t < args.length; t++) {
    let input = x[rowPlace(row, t, args.xRow) + args.xOffset + channel];
    var raw = dt[rowPlace(row, t, args.dtRow) + args.dtOffset + head];
    if (BIAS) {
      raw += work[args.atBias + head];
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
    let cleared = RESETS && bitcast<u32>(work[args.atMarks + row * args.length + t]) != 0u;
    let ofB = rowPlace(row, t, args.bRow) + args.bOffset + group * args.state;
    let ofC = rowPlace(row, t, args.cRow) + args.cOffset + group * args.state;
    var sum = 0.0;
    for (var n = lane; n < args.state; n += LANES) {
      var h = d * input * B[ofB + n];
      if (!cleared && !(FRESH && t == 0u)) {
        h += decay * carried[place + n];
      }
      // Lanes past the last channel repeat it: they must not move its state on twice.
      if (owned) {
        carried[place + n] = h;
      }
      sum += h * C[ofC + n];
    }
    var value = laneSum(vec2f(sum, 0.0), index).x;
    if (lane == 0u && owned) {
      if (SKIP) {
        value += work[args.atD + head * args.dHead + p * args.dChannel] * input;
      }
      if (GATE) {
        value *= silu(z[rowPlace(row, t, args.zRow) + args.zOffset + channel]);
      }
      y[rowPlace(row, t, channels) + channel] = value;
    }
  }
}
