// link: math, slopes, gelu, sigmoid, activation-slopes
// The gradients of scale · f(a) · b: da = dy scale f'(a) b, db = dy scale f(a), four elements a lane.
// Bytes an element: 20, or 12 without b. Operations: 4, and those of f and f'.

struct Args {
  quads: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> da: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> db: array<vec4f>;

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
  let scaled = args.scale * dy[i];
  var values: vec4f;
  var slopes: vec4f;
  for (var k = 0u; k < 4u; k++) {
    let both = activatedAndSlope(x[k]);
    values[k] = both.x;
    slopes[k] = both.y;
  }
  if (PRODUCT) {
    db[i] = scaled * values;
    slopes *= b[i];
  }
  da[i] = scaled * slopes;
}
