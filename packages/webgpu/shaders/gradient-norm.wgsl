// link: reduce
// Σ x² over a part of a tensor for each workgroup, or with ROOT the root of the sum of all parts, by one workgroup. The
// order depends on the sizes alone. Bytes an element: 4 read.

struct Args {
  size: u32,
  span: u32, // elements of a workgroup's part
  at: u32, // where the parts of this tensor begin in y
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const WORKGROUP = 256u;
/// Whether x holds sums of squares already, and their root is wanted.
override ROOT: bool = false;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let part = tile_id.y * tiles_count.x + tile_id.x;
  let begin = part * args.span;
  let end = min(begin + args.span, args.size);
  var sums = vec4f();
  for (var i = begin + index; i < end; i += 4u * WORKGROUP) {
    var values: vec4f;
    for (var k = 0u; k < 4u; k++) {
      values[k] = select(0.0, x[min(i + k * WORKGROUP, end - 1u)], i + k * WORKGROUP < end);
    }
    sums += select(values * values, values, ROOT);
  }
  let sum = groupSum((sums.x + sums.y) + (sums.z + sums.w), index);
  if (index == 0u && begin < args.size) {
    y[args.at + part] = select(sum, sqrt(sum), ROOT);
  }
}
