// link: ssd-args, ssd-work-quads, ssd-segments, ssd-block
// The states before the chunks of Mamba-2's scan, where channels, states and strides are multiples of four. A workgroup
// has 128 states × 32 WIDE channels of a head in registers and takes them through the chunks of a segment, in order:
// S ← exp(α_end) S + Σ_j exp(α_end - α_j) d_j B_j x_jᵀ. With one segment that is all, from the initial state to the
// last one. With several, each begins at zero, and `ssd-scan-carry-segments` goes through their ends. The next slice is
// on its way to registers while one is multiplied. Bytes a chunk of a head: 4 · CHUNK · (state + 32 WIDE) read from
// memory or cache, 4 · state · headDim written.

@group(0) @binding(1) var<storage, read> work: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> B: array<vec4f>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>; // see lib/ssd-segments.wgsl
// [batch, heads, headDim, state]: the initial state, then the last one, where there is one segment
@group(0) @binding(5) var<storage, read_write> carried: array<vec4f>;

/// Whether there are more than 64 states.
override BOTH: bool = true;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let stateTiles = (args.state + 127u) / 128u;
  let firstState = 128u * (tile_id.x % stateTiles);
  let firstChannel = 4u * QUADS * (tile_id.x / stateTiles % args.channelTiles);
  let segment = tile_id.x / (stateTiles * args.channelTiles);
  let head = tile_id.y;
  let row = tile_id.z;
  let firstChunk = segment * args.segmentChunks;
  let endChunk = min(firstChunk + args.segmentChunks, args.chunks);
  let end = min(endChunk * CHUNK, args.length);
  let lx = index % 8u;
  let ly = index / 8u;

  // A lane brings four steps of a quad of states, and WIDE steps of a quad of channels.
  let stateQuad = index % 32u;
  let stateDepth = index / 32u;
  let channelQuad = index % QUADS;
  let channelDepth = index / QUADS;
  let endOfStates = select(0u, end, firstState + 4u * stateQuad < args.state);
  let endOfChannels = select(0u, end, firstChannel + 4u * channelQuad < args.headDim);
  let ofB = rowPlace(row, 0u, args.bRow) + args.bOffset + groupOf(head) * args.state + firstState + 4u * stateQuad;
  let ofX = rowPlace(row, 0u, args.xRow) + args.xOffset + head * args.headDim + firstChannel + 4u * channelQuad;

  var upper = Sums();
  var lower = Sums();
  let matrix = ((args.firstRow + row) * args.heads + head) * args.headDim;
  if (!SEGMENTED && !FRESH) {
    for (var q = 0u; q < WIDE; q++) { // unroll
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + 4u * (lx + 8u * q) + c;
        let a = carriedAt(matrix, p, firstState + 4u * ly);
        let b = carriedAt(matrix, p, firstState + 4u * (16u + ly));
        for (var r = 0u; r < 4u; r++) { // unroll
          upper[4u * q + r][c] = a[r];
          lower[4u * q + r][c] = b[r];
        }
      }
    }
  }
  var nextB = blockOfB(ofB, firstChunk * CHUNK + 4u * stateDepth, endOfStates);
  var nextX: array<vec4f, WIDE>;
  var nextSteps: array<vec4f, WIDE>;
  for (var k = 0u; k < WIDE; k++) { // unroll
    let t = firstChunk * CHUNK + channelDepth + 16u / WIDE * k;
    nextX[k] = xAt(ofX, t, endOfChannels);
    nextSteps[k] = stepAt(row, head, t, end);
  }
  var through = 1.0;
  for (var chunk = firstChunk; chunk < endChunk; chunk++) {
    if (SEGMENTED && tile_id.x % (stateTiles * args.channelTiles) == 0u && index == 0u) {
      states[throughPlace(row, chunk, head) / 4u] = vec4f(through);
    }
    let last = stepOf(row, chunk, head, CHUNK - 1u);
    let kept = exp2(last.y + last.z);
    // A segment's first chunk has a state of zero before it, which is not stored.
    if (!SEGMENTED || chunk > firstChunk) {
      let place = chunkHead(row, chunk, head) * args.state;
      storeStates(place, firstState + 4u * ly, firstChannel + 4u * lx, upper);
      storeStates(place, firstState + 4u * (16u + ly), firstChannel + 4u * lx, lower);
    }
    through *= kept;
    // Nothing is left of nothing, even where what is left of it is infinite.
    let factor = select(kept, 0.0, SEGMENTED && chunk == firstChunk);
    for (var s = 0u; s < WIDE; s++) { // unroll
      for (var r = 0u; r < 4u; r++) { // unroll
        upper[4u * s + r] *= factor;
        lower[4u * s + r] *= factor;
      }
    }
    let behind = min((chunk + 1u) * CHUNK, end);
    for (var first = chunk * CHUNK; first < behind; first += SLICE) {
      workgroupBarrier();
      storeRows(stateQuad, stateDepth, nextB);
      for (var k = 0u; k < WIDE; k++) { // unroll
        let weight = nextSteps[k].x * exp2((last.y - nextSteps[k].y) + (last.z - nextSteps[k].z));
        right[channelDepth + 16u / WIDE * k][channelQuad] = weight * nextX[k];
      }
      workgroupBarrier();
      nextB = blockOfB(ofB, first + SLICE + 4u * stateDepth, endOfStates);
      for (var k = 0u; k < WIDE; k++) { // unroll
        let t = first + SLICE + channelDepth + 16u / WIDE * k;
        nextX[k] = xAt(ofX, t, endOfChannels);
        nextSteps[k] = stepAt(row, head, t, end);
      }
      if (BOTH) {
        multiplyBoth(&upper, &lower, lx, ly);
      } else {
        multiplyOne(&upper, lx, ly);
      }
    }
  }
  if (SEGMENTED) {
    let place = segmentPlace(row, segment, head);
    storeStates(place, firstState + 4u * ly, firstChannel + 4u * lx, upper);
    storeStates(place, firstState + 4u * (16u + ly), firstChannel + 4u * lx, lower);
  } else {
    for (var q = 0u; q < WIDE; q++) { // unroll
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + 4u * (lx + 8u * q) + c;
        let s = 4u * q;
        let a = vec4f(upper[s][c], upper[s + 1u][c], upper[s + 2u][c], upper[s + 3u][c]);
        let b = vec4f(lower[s][c], lower[s + 1u][c], lower[s + 2u][c], lower[s + 3u][c]);
        storeCarried(matrix, p, firstState + 4u * ly, a);
        storeCarried(matrix, p, firstState + 4u * (16u + ly), b);
      }
    }
  }
}

/// Four states of a channel.
fn carriedAt(matrix: u32, p: u32, n: u32) -> vec4f {
  if (p < args.headDim && n < args.state) {
    return carried[((matrix + p) * args.state + n) / 4u];
  }
  return vec4f();
}

fn storeCarried(matrix: u32, p: u32, n: u32, values: vec4f) {
  if (p < args.headDim && n < args.state) {
    carried[((matrix + p) * args.state + n) / 4u] = values;
  }
}

/// Stores four states from n on of a lane's channels, whose first is p. `place` is that of the matrix's first row.
fn storeStates(place: u32, n: u32, p: u32, sums: Sums) {
  if (n < args.state) {
    for (var q = 0u; q < WIDE; q++) { // unroll
      if (p + 32u * q < args.headDim) {
        for (var r = 0u; r < 4u; r++) { // unroll
          states[((place + n + r) * args.headDim + p + 32u * q) / 4u] = sums[4u * q + r];
        }
      }
    }
  }
}

/// Four steps, from t on, of a quad of B, zero from `end` on.
fn blockOfB(ofB: u32, t: u32, end: u32) -> mat4x4f {
  if (t >= end) {
    return mat4x4f();
  }
  // Steps behind the last repeat it: what they are multiplied by is zero.
  let last = end - 1u;
  return mat4x4f(
    B[(ofB + t * args.bRow) / 4u],
    B[(ofB + min(t + 1u, last) * args.bRow) / 4u],
    B[(ofB + min(t + 2u, last) * args.bRow) / 4u],
    B[(ofB + min(t + 3u, last) * args.bRow) / 4u]);
}

fn xAt(ofX: u32, t: u32, end: u32) -> vec4f {
  if (t >= end) {
    return vec4f();
  }
  return x[(ofX + t * args.xRow) / 4u];
}

/// d and α of a step of the row, zero from `end` on.
fn stepAt(row: u32, head: u32, t: u32, end: u32) -> vec4f {
  if (t >= end) {
    return vec4f();
  }
  return stepOf(row, t / CHUNK, head, t % CHUNK);
}
