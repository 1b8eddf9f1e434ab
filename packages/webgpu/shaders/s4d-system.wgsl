// link: math, complex, s4d-rules, s4d-planes
// Discretises the system of S4D. A lane has one state of one channel, or zeros.
// Bytes a state: 24 read, 40 written.

struct Args {
  dim: u32,
  state: u32,
  quads: u32,
  chunk: u32, // a power of two from 4 on
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dt: array<f32>; // [dim]
@group(0) @binding(2) var<storage, read> A: array<f32>; // [2, dim, state], or one plane
@group(0) @binding(3) var<storage, read> B: array<f32>; // as A
@group(0) @binding(4) var<storage, read> C: array<f32>; // as A
@group(0) @binding(5) var<storage, read_write> system: array<f32>; // [quads, PLANES, dim, 4]

override COMPLEX: bool = true;
/// Whether there is a B; otherwise it is 1.
override GIVEN: bool = true;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  if (i >= 4u * args.quads * args.dim) {
    return;
  }
  let channel = i / (4u * args.quads);
  let n = i % (4u * args.quads);
  var values: array<vec2f, 5>;
  if (n < args.state) {
    let at = channel * args.state + n;
    let plane = args.dim * args.state;
    let step = dt[channel];
    let rate = vec2f(A[at], select(0.0, A[plane + at], COMPLEX));
    let entering = select(vec2f(1.0, 0.0), vec2f(B[at], select(0.0, B[plane + at], COMPLEX)), GIVEN);
    let powers = powersOf(step, rate, args.chunk);
    values[0] = decayOf(step, rate);
    values[1] = times(inputScaleOf(step, rate), entering);
    values[2] = select(1.0, 2.0, COMPLEX) * vec2f(C[at], select(0.0, C[plane + at], COMPLEX));
    values[3] = powers.xy;
    values[4] = f32(args.chunk) * powers.zw;
  }
  for (var k = 0u; k < 5u; k++) {
    for (var part = 0u; part < 2u; part++) {
      let plane = (n / 4u) * PLANES + 2u * k + part;
      system[4u * (plane * args.dim + channel) + n % 4u] = values[k][part];
    }
  }
}
