// y[o, j, i] = x[o, start + j, i]. A lane copies one 32-bit word of any type. Bytes an element: 8.

struct Args {
  size: u32, // elements of y
  start: u32,
  count: u32, // extent of the axis in y
  extent: u32, // extent of the axis in x
  inner: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [outer, extent, inner]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [outer, count, inner]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  if (i < args.size) {
    let run = args.count * args.inner;
    y[i] = x[(i / run) * args.extent * args.inner + args.start * args.inner + i % run];
  }
}
