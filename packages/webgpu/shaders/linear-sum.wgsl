// link: stored-{floats,halves}
// Adds up the parts that linear.wgsl leaves where it cuts the inputs. One output a lane. Bytes an output: 4 · splits
// read, 4 written, or 2 in halves.

struct Args {
  outputs: u32, // columns of a part
  rows: u32,
  splits: u32,
  yRow: u32,
  yOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> parts: array<f32>; // [splits, rows, outputs]
@group(0) @binding(2) var<storage, read> bias: array<f32>; // [all outputs]
@group(0) @binding(3) var<storage, read_write> y: array<Stored>; // [rows, yRow]

override BIAS: bool = false;
override ACCUMULATE: bool = false;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  let size = args.rows * args.outputs;
  if (i >= size) {
    return;
  }
  let output = args.yOffset + i % args.outputs;
  let at = (i / args.outputs) * args.yRow + output;
  var sum = 0.0;
  for (var split = 0u; split < args.splits; split++) {
    sum += parts[split * size + i];
  }
  if (BIAS) {
    sum += bias[output];
  }
  if (ACCUMULATE) {
    sum += f32(y[at]);
  }
  y[at] = Stored(sum);
}
