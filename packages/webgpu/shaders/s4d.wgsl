// link: complex, s4d-planes, s4d-time, s4d-states
// The third pass of S4D's scan: the outputs of each chunk, from the states that it begins with. A lane has one channel
// of one chunk, and takes four states at a time over tiles of its inputs and outputs, which are in workgroup memory;
// the lane alone uses them, so there are no barriers.
//
// REVERSED computes the adjoint, from the last step to the first, where x is dy and y is du: G = N + C' dy,
// du = D dy + Re Σ Bbar' G, and N = Abar' G for the step before, which is zero before a reset. The last N is the
// gradient of the initial state.
//
// Bytes a step and channel: 8 for each four states and tile but the first. Operations a state step: 12.

struct Args {
  length: u32,
  dim: u32,
  state: u32,
  quads: u32,
  chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> system: array<vec4f>; // [quads, PLANES, dim]
@group(0) @binding(3) var<storage, read> D: array<f32>; // [dim]
@group(0) @binding(4) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(5) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [batch, length, dim]
@group(0) @binding(7) var<storage, read_write> last: array<f32>; // [batch, 2, dim, state], or without planes

override COMPLEX: bool = true;
override SKIP: bool = true;
/// Whether the last states are wanted.
override LAST: bool = true;

var<workgroup> inputs: array<array<f32, 64>, TILE>;
var<workgroup> outputs: array<array<f32, 64>, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  let chunk = tile_id.y;
  let row = tile_id.z;
  let skip = select(0.0, D[channel], SKIP);
  let end = min((chunk + 1u) * args.chunk, args.length);
  for (var first = chunk * args.chunk; first < end; first += TILE) {
    let count = min(TILE, end - first);
    let marks = marksOf(row, first, count);
    for (var i = 0u; i < count; i++) {
      let input = x[stepOf(row, first + i) * args.dim + channel];
      inputs[i][index] = input;
      outputs[i][index] = select(0.0, skip * input, SKIP);
    }
    for (var quad = 0u; quad < args.quads; quad++) {
      scan(row, chunk, quad, channel, index, count, marks);
    }
    for (var i = 0u; i < count; i++) {
      y[stepOf(row, first + i) * args.dim + channel] = outputs[i][index];
    }
  }
  if (LAST && chunk + 1u == args.chunks) {
    for (var quad = 0u; quad < args.quads; quad++) {
      leave(row, quad, channel, statesAt(placeOf(row, chunk, 1u, 0u, quad, channel)));
    }
  }
}

/// Takes four states over a tile, and leaves them for the next one.
fn scan(row: u32, chunk: u32, quad: u32, channel: u32, index: u32, count: u32, marks: u32) {
  var decay = planesOf(quad, DECAY, channel);
  var entering = planesOf(quad, INPUT, channel);
  var leaving = planesOf(quad, OUTPUT, channel);
  leaving.im = -leaving.im;
  if (REVERSED) {
    decay.im = -decay.im;
    let exchanged = entering;
    entering = leaving;
    leaving = exchanged;
  }
  let at = placeOf(row, chunk, 1u, 0u, quad, channel);
  var S = statesAt(at);
  for (var i = 0u; i < count; i++) {
    let input = fourScaled(entering, inputs[i][index]);
    let marked = (marks & (1u << i)) != 0u;
    var current = fourSum(S, input);
    if (REVERSED) {
      S = fourTimes(decay, current);
      if (marked) {
        S = Four();
      }
    } else {
      if (marked) {
        S = Four();
      }
      S = fourSum(fourTimes(decay, S), input);
      current = S;
    }
    outputs[i][index] += dot(leaving.re, current.re) + dot(leaving.im, current.im);
  }
  states[at] = S.re;
  states[at + args.dim] = S.im;
}

fn leave(row: u32, quad: u32, channel: u32, S: Four) {
  let plane = args.dim * args.state;
  for (var lane = 0u; lane < 4u; lane++) {
    let n = 4u * quad + lane;
    if (n < args.state) {
      let at = row * select(1u, 2u, COMPLEX) * plane + channel * args.state + n;
      last[at] = S.re[lane];
      if (COMPLEX) {
        last[at + plane] = S.im[lane];
      }
    }
  }
}
