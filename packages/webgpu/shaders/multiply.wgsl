// link: math, gelu, sigmoid
// y = scale · f(a) · b, or scale · f(a), four elements a lane.
// Bytes an element: 12, or 8. Operations: 2, and those of f.

struct Args {
  quads: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

/// 0 none, 1 silu, 2 gelu, 3 gelu-tanh, 4 relu2, 5 exp, 6 sigmoid, 7 tanh, 8 elu-plus-one, 9 reciprocal.
override ACTIVATION: u32 = 0u;
/// Whether there is a b.
override PRODUCT: bool = true;

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
  let x = a[i];
  var value = args.scale * vec4f(activated(x.x), activated(x.y), activated(x.z), activated(x.w));
  if (PRODUCT) {
    value *= b[i];
  }
  y[i] = value;
}

fn activated(x: f32) -> f32 {
  switch ACTIVATION {
    case 1u: { return silu(x); }
    case 2u: { return gelu(x); }
    case 3u: { return geluTanh(x); }
    case 4u: { return relu2(x); }
    case 5u: { return exponential(x); }
    case 6u: { return sigmoid(x); }
    case 7u: { return hyperbolicTangent(x); }
    case 8u: { return eluPlusOne(x); }
    case 9u: { return 1.0 / x; }
    default: { return x; }
  }
}
