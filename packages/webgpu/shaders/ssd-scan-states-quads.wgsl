// link: ssd-args, ssd-work-quads, ssd-steps, ssd-quads
// What each chunk of a head adds to its state, as ssd-scan-states.wgsl, where channels, states and all strides are
// multiples of four. The next slice is on its way to registers while one is multiplied.

@group(0) @binding(1) var<storage, read> work: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> B: array<vec4f>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>; // [rows, chunks, heads, headDim, state]

override ADJOINT: bool = false;

var<workgroup> weights: array<f32, CHUNK>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let firstState = 64u * (tile_id.x % args.stateTiles);
  let firstChannel = 64u * (tile_id.x / args.stateTiles % args.channelTiles);
  let chunk = tile_id.x / (args.stateTiles * args.channelTiles);
  let head = tile_id.y;
  let row = tile_id.z;
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  let half = index / 64u;
  let quad = index % 16u;
  let depth = index % 64u / 16u;
  loadSteps(row, chunk, head, index);
  workgroupBarrier();
  for (var t = index; t < CHUNK; t += 128u) {
    if (ADJOINT) {
      weights[t] = keptAt(t);
    } else {
      weights[t] = sizes[t] * decayBetween(CHUNK - 1u, t);
    }
  }
  let ofX = rowPlace(row, start, args.xRow) + args.xOffset + head * args.headDim + firstChannel + 4u * quad;
  let ofB = rowPlace(row, start, args.bRow) + args.bOffset + groupOf(head) * args.state + firstState + 4u * quad;
  // Whether the lane's quad exists; lanes of a quad that does not bring zeros.
  let there = select(firstState + 4u * quad < args.state, firstChannel + 4u * quad < args.headDim, half == 0u);
  var sums = array<vec4f, 8>();
  var next = blockAt(half, there, 4u * depth, count, ofX, ofB);
  for (var first = 0u; first < count; first += 16u) {
    workgroupBarrier();
    var brought = next;
    if (half == 0u) {
      let t = first + 4u * depth;
      // Steps behind the chunk's last repeat it, and count for nothing.
      brought = mat4x4f(
        weightAt(t, count) * next[0],
        weightAt(t + 1u, count) * next[1],
        weightAt(t + 2u, count) * next[2],
        weightAt(t + 3u, count) * next[3]);
    }
    storeBlock(half, quad, depth, brought);
    workgroupBarrier();
    next = blockAt(half, there, first + 16u + 4u * depth, count, ofX, ofB);
    multiplyBlocks(&sums, index % 16u, index / 16u);
  }
  let n = firstState + 4u * (index % 16u);
  let place = chunkHead(row, chunk, head) * args.headDim;
  for (var r = 0u; r < 8u; r++) { // unroll
    let p = firstChannel + 4u * (index / 16u) + r % 4u + r / 4u * 32u;
    if (p < args.headDim && n < args.state) {
      states[((place + p) * args.state + n) / 4u] = sums[r];
    }
  }
}

fn weightAt(t: u32, count: u32) -> f32 {
  return select(0.0, weights[min(t, CHUNK - 1u)], t < count);
}

/// Four steps, from t on, of a quad of channels or of states.
fn blockAt(half: u32, there: bool, t: u32, count: u32, ofX: u32, ofB: u32) -> mat4x4f {
  if (t >= count || !there) {
    return mat4x4f();
  }
  let last = count - 1u;
  if (half == 0u) {
    return mat4x4f(
      x[(ofX + t * args.xRow) / 4u],
      x[(ofX + min(t + 1u, last) * args.xRow) / 4u],
      x[(ofX + min(t + 2u, last) * args.xRow) / 4u],
      x[(ofX + min(t + 3u, last) * args.xRow) / 4u]);
  }
  return mat4x4f(
    B[(ofB + t * args.bRow) / 4u],
    B[(ofB + min(t + 1u, last) * args.bRow) / 4u],
    B[(ofB + min(t + 2u, last) * args.bRow) / 4u],
    B[(ofB + min(t + 3u, last) * args.bRow) / 4u]);
}
