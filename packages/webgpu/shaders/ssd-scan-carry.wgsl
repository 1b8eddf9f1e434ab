// link: ssd-args
// Hands the state of Mamba-2's scan from chunk to chunk. One lane for each (row, head, channel, state) goes through the
// chunks in order and replaces what each adds by the state before it. With REVERSE it hands the gradient of the state
// from the last chunk to the first, and leaves in each the gradient of the state behind it. Bytes a chunk and state: 8.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<f32>; // [rows, chunks, heads, headDim, state]
// [batch, heads, headDim, state]: the initial state, then the last one; or the gradient of the last, then of the first
@group(0) @binding(3) var<storage, read_write> carried: array<f32>;

override REVERSE: bool = false;
/// Whether it begins at zero, whatever `carried` holds.
override FRESH: bool = false;

const DEPTH = 8u;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let matrix = args.headDim * args.state;
  let i = tile_id.x * 64u + index;
  let head = tile_id.y;
  let row = tile_id.z;
  if (i >= matrix) {
    return;
  }
  let place = ((args.firstRow + row) * args.heads + head) * matrix + i;
  var h = 0.0;
  if (!FRESH) {
    h = carried[place];
  }
  // Loads of DEPTH chunks are under way together; only h goes from one to the next.
  for (var first = 0u; first < args.chunks; first += DEPTH) {
    var added: array<f32, DEPTH>;
    var kept: array<f32, DEPTH>;
    for (var k = 0u; k < DEPTH; k++) {
      let chunk = chunkAt(min(first + k, args.chunks - 1u));
      added[k] = states[chunkHead(row, chunk, head) * matrix + i];
      let step = stepPlace(row, chunk, head, CHUNK - 1u);
      kept[k] = exp2(work[step + 1u] + work[step + 2u]);
    }
    for (var k = 0u; k < DEPTH; k++) {
      if (first + k < args.chunks) {
        states[chunkHead(row, chunkAt(first + k), head) * matrix + i] = h;
        h = kept[k] * h + added[k];
      }
    }
  }
  carried[place] = h;
}

fn chunkAt(i: u32) -> u32 {
  return select(i, args.chunks - 1u - i, REVERSE);
}
