// link: reduce
// Σ x² of each of up to seven small tensors, by a workgroup each, since a browser promises only eight storage buffers a
// shader. A model has many of them, and a dispatch for each would take longer to record than to run. The order depends
// on the sizes alone. Bytes an element: 4 read.

struct Args {
  at: u32, // where the sums begin in y
  size0: u32,
  size1: u32,
  size2: u32,
  size3: u32,
  size4: u32,
  size5: u32,
  size6: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x0: array<f32>;
@group(0) @binding(2) var<storage, read> x1: array<f32>;
@group(0) @binding(3) var<storage, read> x2: array<f32>;
@group(0) @binding(4) var<storage, read> x3: array<f32>;
@group(0) @binding(5) var<storage, read> x4: array<f32>;
@group(0) @binding(6) var<storage, read> x5: array<f32>;
@group(0) @binding(7) var<storage, read> x6: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;

const WORKGROUP = 256u;

fn element(tensor: u32, i: u32) -> f32 {
  switch tensor {
    case 0u: { return x0[i]; }
    case 1u: { return x1[i]; }
    case 2u: { return x2[i]; }
    case 3u: { return x3[i]; }
    case 4u: { return x4[i]; }
    case 5u: { return x5[i]; }
    default: { return x6[i]; }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let tensor = tile_id.x;
  let sizes = array(args.size0, args.size1, args.size2, args.size3, args.size4, args.size5, args.size6);
  let size = sizes[tensor];
  var sums = vec4f();
  for (var i = index; i < size; i += 4u * WORKGROUP) {
    var values: vec4f;
    for (var k = 0u; k < 4u; k++) {
      values[k] = select(0.0, element(tensor, min(i + k * WORKGROUP, size - 1u)), i + k * WORKGROUP < size);
    }
    sums += values * values;
  }
  let sum = groupSum((sums.x + sums.y) + (sums.z + sums.w), index);
  if (index == 0u) {
    y[args.at + tensor] = sum;
  }
}
