// link: activation
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
