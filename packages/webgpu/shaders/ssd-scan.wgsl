// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile, math
// The last of the passes of Mamba-2's scan: y = (exp(α_i) S C_i + Σ_(j ≤ i) (C_i · B_j) exp(α_i - α_j) d_j x_j + D x_i)
// silu(z_i), with S the state before the chunk. A workgroup takes 64 steps × 64 channels of a head; both sums are one
// product whose depth is first the states and then the steps up to the tile's last. The decays are formed as the second
// part comes in, once for each pair of steps of a head. Bytes a tile: 512 · (state + steps) read from memory or cache,
// and 48 KiB of x, z and y.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> C: array<f32>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read> states: array<f32>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(5) var<storage, read> z: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [batch, length, heads, headDim]

override GATE: bool = true;
override SKIP: bool = true;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let firstChannel = 64u * (tile_id.x % args.channelTiles);
  let tile = tile_id.x / args.channelTiles;
  let chunk = tile / args.rowTiles;
  let firstStep = 64u * (tile % args.rowTiles);
  let head = tile_id.y;
  let row = tile_id.z;
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  if (firstStep >= count) {
    return;
  }
  let group = groupOf(head);
  loadSteps(row, chunk, head, index);
  var sums = array<vec4f, 8>();
  let ofStates = chunkHead(row, chunk, head) * args.headDim * args.state;
  for (var first = 0u; first < args.state; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      let d = i % SLICE;
      let quad = i / SLICE;
      let n = first + d;
      var rows = vec4f();
      var columns = vec4f();
      if (n < args.state) {
        for (var c = 0u; c < 4u; c++) { // unroll
          let t = firstStep + rowOf(quad, c);
          if (t < count) {
            rows[c] = C[rowPlace(row, start + t, args.cRow) + args.cOffset + group * args.state + n];
          }
          let p = firstChannel + columnOf(quad, c);
          if (p < args.headDim) {
            columns[c] = states[ofStates + p * args.state + n];
          }
        }
      }
      left[d * STRIDE + quad] = rows;
      right[d * STRIDE + quad] = columns;
    }
    workgroupBarrier();
    multiplySlices(&sums, index);
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    sums[r] *= keptAt(firstStep + index / 16u + 8u * r);
  }
  let gram = gramPlace(row, chunk, group);
  let end = min(firstStep + 64u, count);
  for (var first = 0u; first < end; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      // Neighbouring lanes bring neighbouring steps of the product, and neighbouring channels of x.
      let before = first + i % SLICE;
      let quad = i / SLICE;
      var rows = vec4f();
      for (var c = 0u; c < 4u; c++) { // unroll
        let t = firstStep + rowOf(quad, c);
        if (before <= t && t < count) {
          rows[c] = work[gram + t * CHUNK + before] * decayBetween(t, before) * sizes[before];
        }
      }
      left[i % SLICE * STRIDE + quad] = rows;
      let t = first + i / 16u;
      var columns = vec4f();
      if (t < count) {
        let ofX = rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim;
        for (var c = 0u; c < 4u; c++) { // unroll
          let p = firstChannel + columnOf(i % 16u, c);
          if (p < args.headDim) {
            columns[c] = x[ofX + p];
          }
        }
      }
      right[i / 16u * STRIDE + i % 16u] = columns;
    }
    workgroupBarrier();
    multiplySlices(&sums, index);
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = firstStep + index / 16u + 8u * r;
    if (t < count) {
      let ofX = rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim;
      let ofZ = rowPlace(row, start + t, args.zRow) + args.zOffset + head * args.headDim;
      let ofY = rowPlace(row, start + t, args.heads * args.headDim) + head * args.headDim;
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + index % 16u + 16u * c;
        if (p < args.headDim) {
          var value = sums[r][c];
          if (SKIP) {
            value += work[args.atD + head * args.dHead + p * args.dChannel] * x[ofX + p];
          }
          if (GATE) {
            value *= silu(z[ofZ + p]);
          }
          y[ofY + p] = value;
        }
      }
    }
  }
}
