// link: math, complex, s4d-rules
// The gradients of S4D's dt, A, B and C from those of Abar, Bbar and C / f, which s4d-sums.wgsl leaves and
// column-sum.wgsl adds up: with ' for the conjugate, and E, F and G as in lib/s4d-rules.wgsl,
//
//     dA = (dt E)' dAbar + (B G)' dBbar        dB = F' dBbar        ddt = Re Σ ((A E)' dAbar + (B E)' dBbar)
//
// A lane has one channel, and takes its states one after the other.
// Bytes a state: 40 read, 24 written.

struct Args {
  dim: u32,
  state: u32,
  quads: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dt: array<f32>; // [dim]
@group(0) @binding(2) var<storage, read> A: array<f32>; // [2, dim, state], or one plane
@group(0) @binding(3) var<storage, read> B: array<f32>; // as A
@group(0) @binding(4) var<storage, read> sums: array<f32>; // [quads, 6, dim, 4]
@group(0) @binding(5) var<storage, read_write> ddt: array<f32>; // [dim]
@group(0) @binding(6) var<storage, read_write> dA: array<f32>; // as A
@group(0) @binding(7) var<storage, read_write> dB: array<f32>; // as A
@group(0) @binding(8) var<storage, read_write> dC: array<f32>; // as A

override COMPLEX: bool = true;
/// Whether there is a B; otherwise it is 1.
override GIVEN: bool = true;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  let plane = args.dim * args.state;
  let step = dt[channel];
  var total = 0.0;
  for (var n = 0u; n < args.state; n++) {
    let at = channel * args.state + n;
    let rate = vec2f(A[at], select(0.0, A[plane + at], COMPLEX));
    let entering = select(vec2f(1.0, 0.0), vec2f(B[at], select(0.0, B[plane + at], COMPLEX)), GIVEN);
    let ofDecay = sumOf(n, 0u, channel);
    let ofInput = sumOf(n, 2u, channel);
    let slope = slopeOf(step, rate);
    let withB = conjugateTimes(entering, ofInput);
    total += dot(slope, conjugateTimes(rate, ofDecay) + withB);
    let gradient = step * conjugateTimes(slope, ofDecay) + conjugateTimes(inputScaleByAOf(step, rate), withB);
    let ofB = conjugateTimes(inputScaleOf(step, rate), ofInput);
    let ofC = select(1.0, 2.0, COMPLEX) * sumOf(n, 4u, channel);
    dA[at] = gradient.x;
    dC[at] = ofC.x;
    if (GIVEN) {
      dB[at] = ofB.x;
    }
    if (COMPLEX) {
      dA[plane + at] = gradient.y;
      dC[plane + at] = ofC.y;
      if (GIVEN) {
        dB[plane + at] = ofB.y;
      }
    }
  }
  ddt[channel] = total;
}

fn sumOf(n: u32, place: u32, channel: u32) -> vec2f {
  let at = 4u * (((n / 4u) * 6u + place) * args.dim + channel) + n % 4u;
  return vec2f(sums[at], sums[at + 4u * args.dim]);
}
