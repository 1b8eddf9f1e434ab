// link: ssd-args, ssd-tile
// C Bᵀ of each chunk of each group, which all heads of the group share: tiles of 64 × 64 on and below the diagonal.
// Bytes a tile: 512 · state read, 16 KiB written, for 8192 · state operations.

@group(0) @binding(1) var<storage, read> B: array<f32>; // [batch, length, groups, state]
@group(0) @binding(2) var<storage, read> C: array<f32>; // [batch, length, groups, state]
@group(0) @binding(3) var<storage, read_write> work: array<f32>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let chunk = tile_id.x;
  let group = tile_id.y;
  let tiles = args.rowTiles * args.rowTiles;
  let row = tile_id.z / tiles;
  let firstRow = 64u * (tile_id.z % tiles / args.rowTiles);
  let firstColumn = 64u * (tile_id.z % args.rowTiles);
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  if (firstColumn > firstRow || firstRow >= count) {
    return;
  }
  var sums = array<vec4f, 8>();
  for (var first = 0u; first < args.state; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      let d = i % SLICE;
      let quad = i / SLICE;
      let n = first + d;
      var rows = vec4f();
      var columns = vec4f();
      for (var c = 0u; c < 4u; c++) { // unroll
        let at = firstRow + rowOf(quad, c);
        if (n < args.state && at < count) {
          rows[c] = C[rowPlace(row, start + at, args.cRow) + args.cOffset + group * args.state + n];
        }
        let across = firstColumn + columnOf(quad, c);
        if (n < args.state && across < count) {
          columns[c] = B[rowPlace(row, start + across, args.bRow) + args.bOffset + group * args.state + n];
        }
      }
      left[d * STRIDE + quad] = rows;
      right[d * STRIDE + quad] = columns;
    }
    workgroupBarrier();
    multiplySlices(&sums, index);
  }
  let place = gramPlace(row, chunk, group);
  for (var r = 0u; r < 8u; r++) { // unroll
    for (var c = 0u; c < 4u; c++) { // unroll
      let at = firstRow + index / 16u + 8u * r;
      work[place + at * CHUNK + firstColumn + index % 16u + 16u * c] = sums[r][c];
    }
  }
}
