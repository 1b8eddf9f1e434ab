// link: ssd-args, ssd-quad-steps, ssd-quads, math
// The outputs of Mamba-2's scan, as ssd-scan.wgsl, where channels, states and all strides are multiples of four. Slices
// of the product's depth are first states and then steps; the next slice is on its way to registers while one is
// multiplied.

@group(0) @binding(1) var<storage, read> work: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> C: array<vec4f>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read> states: array<vec4f>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(5) var<storage, read> z: array<vec4f>; // [batch, length, heads, headDim]
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>; // [batch, length, heads, headDim]

override GATE: bool = true;
override SKIP: bool = true;

/// The tile of the workgroup, in elements.
struct Tile {
  firstStep: u32,
  count: u32, // steps of the chunk
  end: u32, // the step behind the tile's last
  stateSlices: u32,
  ofX: u32, // the chunk's first step of x, at the tile's first channel
  ofC: u32,
  ofStates: u32, // the first channel's states
  ofGram: u32,
  channels: u32, // channels of the head from the tile's first on
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let firstChannel = 64u * (tile_id.x % args.channelTiles);
  let inRow = tile_id.x / args.channelTiles;
  let chunk = inRow / args.rowTiles;
  let head = tile_id.y;
  let row = tile_id.z;
  let start = chunk * CHUNK;
  let group = groupOf(head);
  var tile: Tile;
  tile.firstStep = 64u * (inRow % args.rowTiles);
  tile.count = stepsOf(chunk);
  tile.end = min(tile.firstStep + 64u, tile.count);
  tile.stateSlices = (args.state + 15u) / 16u;
  tile.ofX = rowPlace(row, start, args.xRow) + args.xOffset + head * args.headDim + firstChannel;
  tile.ofC = rowPlace(row, start, args.cRow) + args.cOffset + group * args.state;
  tile.ofStates = (chunkHead(row, chunk, head) * args.headDim + firstChannel) * args.state;
  tile.ofGram = gramPlace(row, chunk, group);
  tile.channels = args.headDim - firstChannel;
  if (tile.firstStep >= tile.count) {
    return;
  }
  let lx = index % 16u;
  let ly = index / 16u;
  let half = index / 64u;
  loadSteps(row, chunk, head, index);
  workgroupBarrier();
  // The rows of the lane's blocks of the left operand are the same in every slice.
  let t = tile.firstStep + 4u * (index % 64u / 4u);
  let kept = vec4f(keptAt(t), keptAt(t + 1u), keptAt(t + 2u), keptAt(t + 3u));
  var sums = array<vec4f, 8>();
  let slices = tile.stateSlices + (tile.end + 15u) / 16u;
  var next = blockAt(tile, 0u, half, index % 64u);
  for (var slice = 0u; slice < slices; slice++) {
    let ofSteps = slice >= tile.stateSlices;
    let turned = half == 1u && ofSteps;
    let depth = select(index % 4u, index % 64u / 16u, turned);
    let quad = select(index % 64u / 4u, index % 16u, turned);
    var brought = next;
    if (half == 0u) {
      if (ofSteps) {
        brought = decayed(next, t, 16u * (slice - tile.stateSlices) + 4u * depth, tile.count);
      } else {
        brought = mat4x4f(kept.x * next[0], kept.y * next[1], kept.z * next[2], kept.w * next[3]);
      }
    }
    if (!turned) {
      brought = transpose(brought);
    }
    workgroupBarrier();
    storeBlock(half, quad, depth, brought);
    workgroupBarrier();
    next = blockAt(tile, slice + 1u, half, index % 64u);
    multiplyBlocks(&sums, lx, ly);
  }
  let channel = 4u * lx;
  if (channel >= tile.channels) {
    return;
  }
  var skip = vec4f();
  if (SKIP) {
    let at = args.atD + head * args.dHead + (firstChannel + channel) * args.dChannel;
    skip = vec4f(
      elementOfWork(at),
      elementOfWork(at + args.dChannel),
      elementOfWork(at + 2u * args.dChannel),
      elementOfWork(at + 3u * args.dChannel));
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    let step = tile.firstStep + 4u * ly + r % 4u + r / 4u * 32u;
    if (step < tile.count) {
      var value = sums[r];
      if (SKIP) {
        value += skip * x[(tile.ofX + step * args.xRow + channel) / 4u];
      }
      let inHead = head * args.headDim + firstChannel + channel;
      if (GATE) {
        let gate = z[(rowPlace(row, start + step, args.zRow) + args.zOffset + inHead) / 4u];
        value *= vec4f(silu(gate.x), silu(gate.y), silu(gate.z), silu(gate.w));
      }
      y[(rowPlace(row, start + step, args.heads * args.headDim) + inHead) / 4u] = value;
    }
  }
}

fn elementOfWork(i: u32) -> f32 {
  return work[i / 4u][i % 4u];
}

/// The block that a lane of a half brings to a slice: rows of C, or of C Bᵀ; rows of the state, or of x. What is not
/// there is zero, and so are slices behind the last.
fn blockAt(tile: Tile, slice: u32, half: u32, lane: u32) -> mat4x4f {
  if (slice < tile.stateSlices) {
    let n = 16u * slice + 4u * (lane % 4u);
    let first = 4u * (lane / 4u);
    if (n < args.state) {
      if (half == 0u) {
        // Steps behind the chunk's last repeat it: their results are not written.
        let last = tile.count - 1u;
        let t = tile.firstStep + first;
        return mat4x4f(
          C[(tile.ofC + min(t, last) * args.cRow + n) / 4u],
          C[(tile.ofC + min(t + 1u, last) * args.cRow + n) / 4u],
          C[(tile.ofC + min(t + 2u, last) * args.cRow + n) / 4u],
          C[(tile.ofC + min(t + 3u, last) * args.cRow + n) / 4u]);
      } else if (first < tile.channels) {
        let at = (tile.ofStates + first * args.state + n) / 4u;
        let stride = args.state / 4u;
        return mat4x4f(states[at], states[at + stride], states[at + 2u * stride], states[at + 3u * stride]);
      }
    }
    return mat4x4f();
  }
  let begin = 16u * (slice - tile.stateSlices);
  if (begin >= tile.end) {
    return mat4x4f();
  }
  if (half == 0u) {
    let before = begin + 4u * (lane % 4u);
    let t = tile.firstStep + 4u * (lane / 4u);
    if (before < t + 4u) {
      let at = (tile.ofGram + t * CHUNK + before) / 4u;
      let stride = CHUNK / 4u;
      return mat4x4f(work[at], work[at + stride], work[at + 2u * stride], work[at + 3u * stride]);
    }
    return mat4x4f();
  }
  let before = begin + 4u * (lane / 16u);
  let channel = 4u * (lane % 16u);
  if (channel < tile.channels) {
    // Steps behind the chunk's last repeat it: what they are multiplied by is zero.
    let last = tile.count - 1u;
    return mat4x4f(
      x[(tile.ofX + min(before, last) * args.xRow + channel) / 4u],
      x[(tile.ofX + min(before + 1u, last) * args.xRow + channel) / 4u],
      x[(tile.ofX + min(before + 2u, last) * args.xRow + channel) / 4u],
      x[(tile.ofX + min(before + 3u, last) * args.xRow + channel) / 4u]);
  }
  return mat4x4f();
}

/// A block of C Bᵀ with its decays and step sizes: four steps by four earlier ones; zero above the diagonal.
fn decayed(values: mat4x4f, t: u32, first: u32, count: u32) -> mat4x4f {
  let before = first + vec4u(0u, 1u, 2u, 3u);
  let ofSizes = vec4f(sizes[first], sizes[first + 1u], sizes[first + 2u], sizes[first + 3u]);
  let ofWholes = vec4i(wholes[first], wholes[first + 1u], wholes[first + 2u], wholes[first + 3u]);
  let ofFractions = vec4f(fractions[first], fractions[first + 1u], fractions[first + 2u], fractions[first + 3u]);
  var result: mat4x4f;
  for (var r = 0u; r < 4u; r++) { // unroll
    let decay = exp2(vec4f(wholes[t + r] - ofWholes) + (fractions[t + r] - ofFractions));
    // Steps behind the chunk's last have a size of 0, but what they bring may be anything.
    let end = min(t + r + 1u, count);
    result[r] = select(vec4f(), values[r] * decay * ofSizes, vec4u(end) > before);
  }
  return result;
}
