// link: words-{quads,singles}
// Copies runs of words that lie at equal distances in x, and at others in y: what a slice takes along an axis, and what
// a concatenation puts there. A lane copies one word of any type, or four. Bytes a word: 8.

struct Args {
  size: u32, // of all runs together
  run: u32,
  xStride: u32,
  xOffset: u32,
  yStride: u32,
  yOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<Words>;
@group(0) @binding(2) var<storage, read_write> y: array<Words>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  if (i < args.size) {
    let within = i % args.run;
    let number = i / args.run;
    y[number * args.yStride + args.yOffset + within] = x[number * args.xStride + args.xOffset + within];
  }
}
