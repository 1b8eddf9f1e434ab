// The bits of the largest magnitude of a tensor, by atomic maxima, whose order does not matter: magnitudes order as
// their bits do, with infinity and NaN above all others. Bytes an element: 4 read.

struct Args {
  size: u32,
  span: u32, // elements of a workgroup
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> largest: array<atomic<u32>>; // [1], 0 at first

const WORKGROUP = 256u;

var<workgroup> ofGroup: atomic<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let begin = (tile_id.y * tiles_count.x + tile_id.x) * args.span;
  let end = min(begin + args.span, args.size);
  var most = vec4u();
  for (var i = begin + index; i < end; i += 4u * WORKGROUP) {
    // Elements past the end repeat the last, so that four loads go out together.
    for (var k = 0u; k < 4u; k++) {
      most[k] = max(most[k], x[min(i + k * WORKGROUP, end - 1u)] & 0x7fffffffu);
    }
  }
  atomicMax(&ofGroup, max(max(most.x, most.y), max(most.z, most.w)));
  workgroupBarrier();
  if (index == 0u) {
    atomicMax(&largest[0], atomicLoad(&ofGroup));
  }
}
