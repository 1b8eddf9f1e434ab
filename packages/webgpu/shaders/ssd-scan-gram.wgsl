// link: ssd-args, ssd-quads, ssd-products-{quads,singles}
// C Bᵀ of each chunk of each group, which all heads of the group share: tiles of 64 × 64 on and below the diagonal. The
// next slice is on its way to registers while one is multiplied. Bytes a tile: 512 · state read, 16 KiB written, for
// 8192 · state operations.

@group(0) @binding(1) var<storage, read> B: array<Piece>; // [batch, length, groups, state]
@group(0) @binding(2) var<storage, read> C: array<Piece>; // [batch, length, groups, state]
@group(0) @binding(3) var<storage, read_write> work: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let chunk = tile_id.x;
  let group = tile_id.y;
  let across = CHUNK / 64u;
  let row = tile_id.z / (across * across);
  let firstRow = 64u * (tile_id.z / across % across);
  let firstColumn = 64u * (tile_id.z % across);
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  if (firstColumn > firstRow || firstRow >= count) {
    return;
  }
  // A lane of the first half brings blocks of four steps of C by four states, one of the second half of B.
  let half = index / 64u;
  let depth = index % 4u;
  let quad = index % 64u / 4u;
  let first = select(firstRow, firstColumn, half == 1u) + 4u * quad;
  var sums = array<vec4f, 8>();
  var next = blockAt(half, row, group, start, first, 4u * depth, count);
  for (var slice = 0u; slice < args.state; slice += 16u) {
    workgroupBarrier();
    storeBlock(half, quad, depth, transpose(next));
    workgroupBarrier();
    next = blockAt(half, row, group, start, first, slice + 16u + 4u * depth, count);
    multiplyBlocks(&sums, index % 16u, index / 16u);
  }
  let place = gramPlace(row, chunk, group);
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = firstRow + 4u * (index / 16u) + r % 4u + r / 4u * 32u;
    work[(place + t * CHUNK + firstColumn + 4u * (index % 16u)) / 4u] = sums[r];
  }
}

/// Four states, from n on, of four steps of the chunk, from t on. Steps behind the chunk's last repeat it: what they
/// make is not read, or counts for nothing.
fn blockAt(half: u32, row: u32, group: u32, start: u32, t: u32, n: u32, count: u32) -> mat4x4f {
  if (n >= args.state) {
    return mat4x4f();
  }
  let last = count - 1u;
  if (half == 0u) {
    let place = args.cOffset + group * args.state;
    return mat4x4f(
      cAt(rowPlace(row, start + min(t, last), args.cRow) + place, n),
      cAt(rowPlace(row, start + min(t + 1u, last), args.cRow) + place, n),
      cAt(rowPlace(row, start + min(t + 2u, last), args.cRow) + place, n),
      cAt(rowPlace(row, start + min(t + 3u, last), args.cRow) + place, n));
  }
  let place = args.bOffset + group * args.state;
  return mat4x4f(
    bAt(rowPlace(row, start + min(t, last), args.bRow) + place, n),
    bAt(rowPlace(row, start + min(t + 1u, last), args.bRow) + place, n),
    bAt(rowPlace(row, start + min(t + 2u, last), args.bRow) + place, n),
    bAt(rowPlace(row, start + min(t + 3u, last), args.bRow) + place, n));
}
