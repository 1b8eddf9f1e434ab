// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile
// What each chunk of a head adds to its state: Σ_j exp(α_last - α_j) d_j x_j B_jᵀ, a product over the chunk's steps in
// tiles of 64 channels × 64 states. With ADJOINT, what it adds to the gradient of the state before it,
// Σ_i exp(α_i) ds_i C_iᵀ: x holds ds and B holds C then. Bytes a tile: 512 · steps read, 16 KiB written, for
// 8192 · steps operations.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> B: array<f32>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read_write> states: array<f32>; // [rows, chunks, heads, headDim, state]

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
  let group = groupOf(head);
  loadSteps(row, chunk, head, index);
  workgroupBarrier();
  for (var t = index; t < CHUNK; t += 128u) {
    if (ADJOINT) {
      weights[t] = keptAt(t);
    } else {
      weights[t] = sizes[t] * decayBetween(CHUNK - 1u, t);
    }
  }
  var sums = array<vec4f, 8>();
  for (var first = 0u; first < count; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      let quad = i % 16u;
      let d = i / 16u;
      let t = first + d;
      var rows = vec4f();
      var columns = vec4f();
      if (t < count) {
        let weight = weights[t];
        let ofX = rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim;
        let ofB = rowPlace(row, start + t, args.bRow) + args.bOffset + group * args.state;
        for (var c = 0u; c < 4u; c++) { // unroll
          let p = firstChannel + rowOf(quad, c);
          if (p < args.headDim) {
            rows[c] = weight * x[ofX + p];
          }
          let n = firstState + columnOf(quad, c);
          if (n < args.state) {
            columns[c] = B[ofB + n];
          }
        }
      }
      left[d * STRIDE + quad] = rows;
      right[d * STRIDE + quad] = columns;
    }
    workgroupBarrier();
    multiplySlices(&sums, index);
  }
  let place = chunkHead(row, chunk, head) * args.headDim * args.state;
  for (var r = 0u; r < 8u; r++) { // unroll
    let p = firstChannel + index / 16u + 8u * r;
    for (var c = 0u; c < 4u; c++) { // unroll
      let n = firstState + index % 16u + 16u * c;
      if (p < args.headDim && n < args.state) {
        states[place + p * args.state + n] = sums[r][c];
      }
    }
  }
}
