// link: ssd-args, math, slopes
// The first of the passes of Mamba-2's scan: the steps of each chunk of each head, d = softplus(dt + bias) within
// limits, and the sums α of d A in the chunk. A workgroup takes a chunk of a head, a lane a step; sums are formed in
// log2(CHUNK) rounds. Bytes a step and head: 4 read, 16 written.

@group(0) @binding(1) var<storage, read> dt: array<f32>; // [batch, length, heads]
@group(0) @binding(2) var<storage, read_write> work: array<f32>;

override SOFTPLUS: bool = true;
override BIAS: bool = true;
override LIMITS: bool = false;
override RESETS: bool = false;
/// Whether the derivative of d by dt is kept.
override SLOPES: bool = false;

const LOG2E = 1.44269504088896340736;
/// What a reset adds to α, and the least that a step adds: 2^x is 0 there.
const FORGET = -32768.0;

var<workgroup> wholes: array<i32, CHUNK>;
var<workgroup> fractions: array<f32, CHUNK>;

@compute @workgroup_size(CHUNK)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let chunk = tile_id.x;
  let head = tile_id.y;
  let row = tile_id.z;
  let t = chunk * CHUNK + index;
  var d = 0.0;
  var slope = 0.0;
  var whole = 0;
  var fraction = 0.0;
  if (t < args.length) {
    var raw = dt[rowPlace(row, t, args.dtRow) + args.dtOffset + head];
    if (BIAS) {
      raw += work[args.atBias + head];
    }
    d = raw;
    slope = 1.0;
    if (SOFTPLUS) {
      if (SLOPES) {
        let both = softplusAndSlope(raw);
        d = both.x;
        slope = both.y;
      } else {
        d = softplus(raw);
      }
    }
    // A NaN stays, for which an implementation's min and max may give anything.
    if (LIMITS && (bitcast<u32>(d) & 0x7fffffffu) <= 0x7f800000u) {
      let limited = limit(d);
      slope = select(0.0, slope, limited == d);
      d = limited;
    }
    let change = d * (work[head] * LOG2E);
    if ((bitcast<u32>(change) & 0x7fffffffu) > 0x7f800000u || bitcast<u32>(change) == 0x7f800000u) {
      // Sums have no NaN and no infinity, so the step size has it: all that follows becomes NaN with it.
      d = bitcast<f32>(0x7fc00000u | bitcast<u32>(change));
    } else {
      let bounded = max(change, FORGET);
      let nearest = round(bounded);
      whole = i32(nearest);
      fraction = bounded - nearest;
    }
    if (RESETS && bitcast<u32>(work[args.atMarks + row * args.length + t]) != 0u) {
      whole = i32(FORGET);
      fraction = 0.0;
    }
  }
  for (var reach = 1u; reach < CHUNK; reach = reach << 1u) {
    workgroupBarrier();
    wholes[index] = whole;
    fractions[index] = fraction;
    workgroupBarrier();
    if (index >= reach) {
      let sum = fraction + fractions[index - reach];
      let carried = round(sum);
      whole += wholes[index - reach] + i32(carried);
      fraction = sum - carried;
    }
  }
  let place = stepPlace(row, chunk, head, index);
  work[place] = d;
  work[place + 1u] = f32(whole);
  work[place + 2u] = fraction;
  work[place + 3u] = slope;
}

fn limit(d: f32) -> f32 {
  let above = max(d, args.dtMin);
  // The largest float stands for no limit.
  return select(min(above, args.dtMax), above, args.dtMax >= 3.4028234e38);
}
