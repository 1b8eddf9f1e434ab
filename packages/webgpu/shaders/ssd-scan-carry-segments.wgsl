// link: ssd-args, ssd-segments
// Hands the state of Mamba-2's scan from segment to segment: a lane for each (row, head, state, channel) goes through
// the segments in order and replaces the state at each one's end by that before it. Bytes a segment and state: 8.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<f32>; // see lib/ssd-segments.wgsl
@group(0) @binding(3) var<storage, read_write> carried: array<f32>; // [batch, heads, headDim, state]

const DEPTH: u32 = 8u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let i = tile_id.x * 64u + index;
  let head = tile_id.y;
  let row = tile_id.z;
  if (i >= args.headDim * args.state) {
    return;
  }
  let n = i / args.headDim;
  let p = i % args.headDim;
  let place = (((args.firstRow + row) * args.heads + head) * args.headDim + p) * args.state + n;
  var h = 0.0;
  if (!FRESH) {
    h = carried[place];
  }
  // Loads of DEPTH segments are under way together; only h goes from one to the next.
  for (var first = 0u; first < args.segments; first += DEPTH) {
    var added: array<f32, DEPTH>;
    var kept: array<f32, DEPTH>;
    for (var k = 0u; k < DEPTH; k++) { // unroll
      let segment = min(first + k, args.segments - 1u);
      let chunk = min((segment + 1u) * args.segmentChunks, args.chunks) - 1u;
      let step = stepPlace(row, chunk, head, CHUNK - 1u);
      added[k] = states[segmentPlace(row, segment, head) * args.headDim + i];
      kept[k] = states[throughPlace(row, chunk, head)] * exp2(work[step + 1u] + work[step + 2u]);
    }
    for (var k = 0u; k < DEPTH; k++) { // unroll
      if (first + k < args.segments) {
        states[segmentPlace(row, first + k, head) * args.headDim + i] = h;
        h = kept[k] * h + added[k];
      }
    }
  }
  carried[place] = h;
}
