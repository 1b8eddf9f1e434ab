// One step of AdamW in place, four elements a lane; core's operations/adamw.ts has the equations. What changes from
// step to step is in a buffer, so that bind groups stay; the host computes it in double precision. Nothing is written
// where the norm is not finite: the test looks at bits, since an implementation may assume that floats are finite.
// Bytes an element: 16 read, 12 written. Operations: some 12, with 1 root and 1 division.

struct Args {
  quads: u32,
  beta1: f32,
  rest1: f32, // 1 - beta1
  beta2: f32,
  rest2: f32,
  eps: f32,
  weightDecay: f32,
  maxNorm: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm: array<f32>; // [1]
/// learningRate, learningRate / (1 - beta1^step), 1 / (1 - beta2^step)
@group(0) @binding(6) var<storage, read> rates: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameter: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second: array<vec4f>;

/// Whether there is a norm, and whether it is limited.
override NORM: bool = false;
override LIMIT: bool = false;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  if (i >= args.quads) {
    return;
  }
  var g = gradient[i];
  if (NORM) {
    if ((bitcast<u32>(norm[0]) & 0x7f800000u) == 0x7f800000u) {
      return;
    }
    if (LIMIT) {
      g *= min(1.0, args.maxNorm / (norm[0] + 1e-6));
    }
  }
  let m = args.beta1 * first[i] + args.rest1 * g;
  let v = args.beta2 * second[i] + args.rest2 * g * g;
  first[i] = m;
  second[i] = v;
  parameter[i] = (1.0 - rates[0] * args.weightDecay) * parameter[i] - rates[1] * m / (sqrt(rates[2] * v) + args.eps);
}
