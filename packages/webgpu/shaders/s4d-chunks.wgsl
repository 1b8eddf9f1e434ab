// link: complex, s4d-planes, s4d-time, s4d-states
// The first of the three passes of S4D's scan: each chunk by itself, from zero states. A lane has one channel of one
// chunk, and takes four states at a time over tiles of its inputs, which are in workgroup memory; the lane alone reads
// them, so there are no barriers. The chunk that comes last hands its states to none, and is left out.
//
// REVERSED computes the adjoint, from the last step to the first: G = N + C' x, and N = Abar' G for the step before,
// where x is dy and ' stands for the conjugate. SLOPES adds the derivatives of the states by Bbar and Abar, Q and P:
// Q = Abar Q + x and P = Abar P + S, with the S before the step.
//
// Bytes a step and channel: 4 read for each four states; a chunk: 8 written a state, or 24. Operations a state step: 8,
// or 20.

struct Args {
  length: u32,
  dim: u32,
  quads: u32,
  chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> system: array<vec4f>; // [quads, PLANES, dim]
@group(0) @binding(3) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>;

override SLOPES: bool = false;

var<workgroup> inputs: array<array<f32, 64>, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  let chunk = tile_id.y;
  let row = tile_id.z;
  for (var quad = 0u; quad < args.quads; quad++) {
    var decay = planesOf(quad, DECAY, channel);
    var entering = planesOf(quad, INPUT, channel);
    if (REVERSED) {
      entering = planesOf(quad, OUTPUT, channel);
      entering.im = -entering.im;
      decay.im = -decay.im;
    }
    var S = Four();
    var Q = Four();
    var P = Four();
    for (var first = chunk * args.chunk; first < (chunk + 1u) * args.chunk; first += TILE) {
      let marks = marksOf(row, first, TILE);
      for (var i = 0u; i < TILE; i++) {
        inputs[i][index] = x[stepOf(row, first + i) * args.dim + channel];
      }
      for (var i = 0u; i < TILE; i++) {
        let input = inputs[i][index];
        if (REVERSED) {
          S = fourTimes(decay, fourSum(S, fourScaled(entering, input)));
        }
        if ((marks & (1u << i)) != 0u) {
          S = Four();
          Q = Four();
          P = Four();
        }
        if (SLOPES) {
          P = fourSum(fourTimes(decay, P), S);
          Q = fourTimes(decay, Q);
          Q.re += input;
        }
        if (!REVERSED) {
          S = fourSum(fourTimes(decay, S), fourScaled(entering, input));
        }
      }
    }
    let kinds = select(1u, 3u, SLOPES);
    put(placeOf(row, chunk, kinds, 0u, quad, channel), S);
    if (SLOPES) {
      put(placeOf(row, chunk, kinds, 1u, quad, channel), Q);
      put(placeOf(row, chunk, kinds, 2u, quad, channel), P);
    }
  }
}

fn put(at: u32, value: Four) {
  states[at] = value.re;
  states[at + args.dim] = value.im;
}
