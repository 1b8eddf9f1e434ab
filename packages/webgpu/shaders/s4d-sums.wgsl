// link: complex, s4d-planes, s4d-time, s4d-states
// The gradients of S4D's system, and of D, of each chunk. The system is the same at every step, so they need no
// adjoint: with Q and P, the derivatives of the states by Bbar and Abar, which run along as s4d-chunks.wgsl says, and '
// for the conjugate,
//
//     dAbar = (f C Σ dy P)' + P_last' dLastState        dBbar = (f C Σ dy Q)' + Q_last' dLastState
//     dC / f = Σ dy S'                                  dD = Σ dy u
//
// where the terms of the last states belong to the last chunk. A lane has one channel of one chunk. Each chunk gives a
// row of sums, four of which are a vector: [quads, 6, dim] of dAbar, dBbar and dC, and then dD, [dim] numbers.
// Bytes a step and channel: 8 for each four states. Operations a state step: 26.

struct Args {
  length: u32,
  dim: u32,
  state: u32,
  quads: u32,
  chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> u: array<f32>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> system: array<vec4f>; // [quads, PLANES, dim]
@group(0) @binding(4) var<storage, read> dLastState: array<f32>; // [batch, 2, dim, state], or without planes
@group(0) @binding(5) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(6) var<storage, read> states: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>; // [batch, chunks, 24 quads dim + dim]

override COMPLEX: bool = true;
/// Whether there is a cotangent of the last state.
override LAST: bool = false;

var<workgroup> inputs: array<array<f32, 64>, TILE>;
var<workgroup> cotangents: array<array<f32, 64>, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  let chunk = tile_id.y;
  let row = tile_id.z;
  let end = min((chunk + 1u) * args.chunk, args.length);
  let begin = (row * args.chunks + chunk) * (24u * args.quads + 1u) * args.dim;
  for (var quad = 0u; quad < args.quads; quad++) {
    let decay = planesOf(quad, DECAY, channel);
    let entering = planesOf(quad, INPUT, channel);
    var S = statesAt(placeOf(row, chunk, 3u, 0u, quad, channel));
    var Q = statesAt(placeOf(row, chunk, 3u, 1u, quad, channel));
    var P = statesAt(placeOf(row, chunk, 3u, 2u, quad, channel));
    var ofS = Four();
    var ofQ = Four();
    var ofP = Four();
    var ofD = 0.0;
    for (var first = chunk * args.chunk; first < end; first += TILE) {
      let count = min(TILE, end - first);
      let marks = marksOf(row, first, count);
      for (var i = 0u; i < count; i++) {
        let at = stepOf(row, first + i) * args.dim + channel;
        inputs[i][index] = u[at];
        cotangents[i][index] = dy[at];
      }
      for (var i = 0u; i < count; i++) {
        let input = inputs[i][index];
        let cotangent = cotangents[i][index];
        if ((marks & (1u << i)) != 0u) {
          S = Four();
          Q = Four();
          P = Four();
        }
        P = fourSum(fourTimes(decay, P), S);
        Q = fourTimes(decay, Q);
        Q.re += input;
        S = fourSum(fourTimes(decay, S), fourScaled(entering, input));
        ofS = fourSum(ofS, fourScaled(S, cotangent));
        ofQ = fourSum(ofQ, fourScaled(Q, cotangent));
        ofP = fourSum(ofP, fourScaled(P, cotangent));
        ofD += cotangent * input;
      }
    }
    let leaving = planesOf(quad, OUTPUT, channel);
    var dAbar = conjugate(fourTimes(leaving, ofP));
    var dBbar = conjugate(fourTimes(leaving, ofQ));
    if (LAST && chunk + 1u == args.chunks) {
      let given = cotangentOfLast(row, quad, channel);
      dAbar = fourSum(dAbar, fourTimes(conjugate(P), given));
      dBbar = fourSum(dBbar, fourTimes(conjugate(Q), given));
    }
    put(begin, quad, 0u, channel, dAbar);
    put(begin, quad, 2u, channel, dBbar);
    put(begin, quad, 4u, channel, conjugate(ofS));
    if (quad == 0u) {
      sums[begin + 24u * args.quads * args.dim + channel] = ofD;
    }
  }
}

fn conjugate(a: Four) -> Four {
  return Four(a.re, -a.im);
}

fn put(begin: u32, quad: u32, plane: u32, channel: u32, value: Four) {
  let at = begin + 4u * ((quad * 6u + plane) * args.dim + channel);
  for (var lane = 0u; lane < 4u; lane++) {
    sums[at + lane] = value.re[lane];
    sums[at + 4u * args.dim + lane] = value.im[lane];
  }
}

fn cotangentOfLast(row: u32, quad: u32, channel: u32) -> Four {
  var given = Four();
  let plane = args.dim * args.state;
  for (var lane = 0u; lane < 4u; lane++) {
    let n = 4u * quad + lane;
    if (n < args.state) {
      let at = row * select(1u, 2u, COMPLEX) * plane + channel * args.state + n;
      given.re[lane] = dLastState[at];
      if (COMPLEX) {
        given.im[lane] = dLastState[at + plane];
      }
    }
  }
  return given;
}
