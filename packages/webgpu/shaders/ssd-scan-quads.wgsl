// link: ssd-args, ssd-segments, ssd-work-quads, ssd-steps, ssd-block, math
// The outputs of Mamba-2's scan, as ssd-scan.wgsl, where channels, states and all strides are multiples of four. A
// workgroup takes 128 steps × 32 WIDE channels of a head. Slices of the product's depth are first states and then
// steps; the next slice is on its way to registers while one is multiplied.

@group(0) @binding(1) var<storage, read> work: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> C: array<vec4f>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read> states: array<vec4f>; // see lib/ssd-segments.wgsl
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
  ofStates: u32, // the first state's channels
  ofGram: u32,
  channels: u32, // channels of the head from the tile's first on
  local: bool, // whether there is a state before the chunk from the segment's own chunks
  entered: bool, // and one before the segment
  ofEntered: u32,
  through: f32, // what is left of the latter
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  // Heads follow one another, so that what runs together reads and writes whole rows of x and y.
  let firstChannel = 4u * QUADS * (tile_id.y % args.channelTiles);
  let inRow = tile_id.y / args.channelTiles;
  let chunk = inRow / (CHUNK / 128u);
  let head = tile_id.x;
  let row = tile_id.z;
  let start = chunk * CHUNK;
  let group = groupOf(head);
  var tile: Tile;
  tile.firstStep = 128u * (inRow % (CHUNK / 128u));
  tile.count = stepsOf(chunk);
  tile.end = min(tile.firstStep + 128u, tile.count);
  tile.stateSlices = (args.state + SLICE - 1u) / SLICE;
  tile.ofX = rowPlace(row, start, args.xRow) + args.xOffset + head * args.headDim + firstChannel;
  tile.ofC = rowPlace(row, start, args.cRow) + args.cOffset + group * args.state;
  tile.ofStates = chunkHead(row, chunk, head) * args.state * args.headDim + firstChannel;
  tile.ofGram = gramPlace(row, chunk, group);
  tile.channels = args.headDim - firstChannel;
  tile.local = select(chunk > 0u || !FRESH, chunk % args.segmentChunks > 0u, SEGMENTED);
  if (SEGMENTED) {
    let segment = chunk / args.segmentChunks;
    tile.entered = segment > 0u || !FRESH;
    tile.ofEntered = segmentPlace(row, segment, head) * args.headDim + firstChannel;
    tile.through = states[throughPlace(row, chunk, head) / 4u].x;
  }
  if (tile.firstStep >= tile.count) {
    return;
  }
  let lx = index % 8u;
  let ly = index / 8u;
  // A lane brings four values of depth of a quad of rows, and WIDE values of depth of a quad of columns.
  let rowQuad = index / 4u;
  let rowDepth = index % 4u;
  let columnQuad = index % QUADS;
  let columnDepth = index / QUADS;
  loadSteps(row, chunk, head, index);
  workgroupBarrier();
  let t = tile.firstStep + 4u * rowQuad;
  let kept = vec4f(keptAt(t), keptAt(t + 1u), keptAt(t + 2u), keptAt(t + 3u));
  var upper = Sums();
  var lower = Sums();
  let slices = tile.stateSlices + (tile.end + SLICE - 1u) / SLICE;
  let firstSlice = select(tile.stateSlices, 0u, tile.local || tile.entered);
  var nextRows = rowsAt(tile, firstSlice, t, 4u * rowDepth);
  var nextColumns: array<vec4f, WIDE>;
  for (var k = 0u; k < WIDE; k++) { // unroll
    nextColumns[k] = columnsAt(tile, firstSlice, columnDepth + 16u / WIDE * k, 4u * columnQuad);
  }
  for (var slice = firstSlice; slice < slices; slice++) {
    let ofSteps = slice >= tile.stateSlices;
    let begin = SLICE * (slice - tile.stateSlices);
    var brought = nextRows;
    if (ofSteps) {
      brought = decayed(nextRows, t, begin + 4u * rowDepth, tile.count);
    } else {
      brought = mat4x4f(kept.x * nextRows[0], kept.y * nextRows[1], kept.z * nextRows[2], kept.w * nextRows[3]);
    }
    workgroupBarrier();
    storeRows(rowQuad, rowDepth, transpose(brought));
    for (var k = 0u; k < WIDE; k++) { // unroll
      right[columnDepth + 16u / WIDE * k][columnQuad] = nextColumns[k];
    }
    workgroupBarrier();
    nextRows = rowsAt(tile, slice + 1u, t, 4u * rowDepth);
    for (var k = 0u; k < WIDE; k++) { // unroll
      nextColumns[k] = columnsAt(tile, slice + 1u, columnDepth + 16u / WIDE * k, 4u * columnQuad);
    }
    // Steps that are all behind the upper half of the rows add nothing to it. Finer conditions, a lane's own, save
    // multiply-adds and lose time: each is one more product in the code.
    if (!ofSteps || begin < tile.firstStep + 64u) {
      multiplyBoth(&upper, &lower, lx, ly);
    } else {
      multiplyOne(&lower, lx, 16u + ly);
    }
  }
  for (var q = 0u; q < WIDE; q++) { // unroll
    let channel = 4u * lx + 32u * q;
    if (channel < tile.channels) {
      let inHead = head * args.headDim + firstChannel + channel;
      var skip = vec4f();
      if (SKIP) {
        let at = args.atD + head * args.dHead + (firstChannel + channel) * args.dChannel;
        skip = vec4f(
          elementOfWork(at),
          elementOfWork(at + args.dChannel),
          elementOfWork(at + 2u * args.dChannel),
          elementOfWork(at + 3u * args.dChannel));
      }
      for (var r = 0u; r < 4u; r++) { // unroll
        storeOutput(tile, row, start, tile.firstStep + 4u * ly + r, channel, inHead, skip, upper[4u * q + r]);
        storeOutput(tile, row, start, tile.firstStep + 4u * (16u + ly) + r, channel, inHead, skip, lower[4u * q + r]);
      }
    }
  }
}

/// Stores four channels of a step of the chunk, from the tile's `channel` on.
fn storeOutput(
  tile: Tile, row: u32, start: u32, step: u32, channel: u32, inHead: u32, skip: vec4f, sum: vec4f,
) {
  if (step >= tile.count) {
    return;
  }
  var value = sum;
  if (SKIP) {
    value += skip * x[(tile.ofX + step * args.xRow + channel) / 4u];
  }
  if (GATE) {
    let gate = z[(rowPlace(row, start + step, args.zRow) + args.zOffset + inHead) / 4u];
    value *= vec4f(silu(gate.x), silu(gate.y), silu(gate.z), silu(gate.w));
  }
  y[(rowPlace(row, start + step, args.heads * args.headDim) + inHead) / 4u] = value;
}

fn elementOfWork(i: u32) -> f32 {
  return work[i / 4u][i % 4u];
}

/// Four values of depth, from the slice's `depth` on, of the four steps from t on: of C, or of C Bᵀ. What is not there
/// is zero, and so are slices behind the last.
fn rowsAt(tile: Tile, slice: u32, t: u32, depth: u32) -> mat4x4f {
  if (slice < tile.stateSlices) {
    let n = SLICE * slice + depth;
    if (n >= args.state) {
      return mat4x4f();
    }
    // Steps behind the chunk's last repeat it: their results are not written.
    let last = tile.count - 1u;
    return mat4x4f(
      C[(tile.ofC + min(t, last) * args.cRow + n) / 4u],
      C[(tile.ofC + min(t + 1u, last) * args.cRow + n) / 4u],
      C[(tile.ofC + min(t + 2u, last) * args.cRow + n) / 4u],
      C[(tile.ofC + min(t + 3u, last) * args.cRow + n) / 4u]);
  }
  let before = SLICE * (slice - tile.stateSlices) + depth;
  if (before >= min(tile.end, t + 4u)) {
    return mat4x4f();
  }
  let at = (tile.ofGram + t * CHUNK + before) / 4u;
  let stride = CHUNK / 4u;
  return mat4x4f(work[at], work[at + stride], work[at + 2u * stride], work[at + 3u * stride]);
}

/// Four channels at a depth of a slice: of a state before the chunk, or of a step of x.
fn columnsAt(tile: Tile, slice: u32, depth: u32, channel: u32) -> vec4f {
  if (channel >= tile.channels) {
    return vec4f();
  }
  if (slice < tile.stateSlices) {
    let n = SLICE * slice + depth;
    if (n >= args.state) {
      return vec4f();
    }
    var value = vec4f();
    if (tile.local) {
      value = states[(tile.ofStates + n * args.headDim + channel) / 4u];
    }
    if (SEGMENTED && tile.entered) {
      value += tile.through * states[(tile.ofEntered + n * args.headDim + channel) / 4u];
    }
    return value;
  }
  let before = SLICE * (slice - tile.stateSlices) + depth;
  if (before >= tile.end) {
    return vec4f();
  }
  return x[(tile.ofX + before * args.xRow + channel) / 4u];
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
