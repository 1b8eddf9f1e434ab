// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile, ssd-sums, ssd-row-sums, math, slopes
// From the outputs of Mamba-2's scan: ds · y of what comes from the state before the chunk, which the gradients of the
// decays need; with GATE, dz, for which y is computed again as ssd-scan.wgsl does; with SKIP, the parts of dD. A
// workgroup takes a chunk × 64 channels of a head.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> C: array<f32>; // [batch, length, groups, state]
@group(0) @binding(4) var<storage, read> states: array<f32>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(5) var<storage, read> z: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(6) var<storage, read> dy: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(7) var<storage, read_write> dz: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(8) var<storage, read_write> sums: array<f32>;

override GATE: bool = true;
override SKIP: bool = true;

var<workgroup> ofD: array<f32, 512>; // [8, 64]

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let tile = tile_id.x % args.channelTiles;
  let firstChannel = 64u * tile;
  let chunk = tile_id.x / args.channelTiles;
  let head = tile_id.y;
  let row = tile_id.z;
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  let group = groupOf(head);
  loadSteps(row, chunk, head, index);
  var total = array<vec4f, 8>();
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
          let t = rowOf(quad, c);
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
    multiplySlices(&total, index);
  }
  var along = array<f32, 8>();
  var skipped = vec4f();
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = index / 16u + 8u * r;
    total[r] *= keptAt(t);
    if (t < count) {
      let ofX = rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim;
      let place = rowPlace(row, start + t, args.heads * args.headDim) + head * args.headDim;
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + index % 16u + 16u * c;
        if (p < args.headDim) {
          var ds = dy[place + p];
          if (GATE) {
            ds *= silu(z[rowPlace(row, start + t, args.zRow) + args.zOffset + head * args.headDim + p]);
          }
          along[r] += ds * total[r][c];
          if (SKIP) {
            skipped[c] += ds * x[ofX + p];
          }
        }
      }
    }
  }
  let sum = rowSum(along, index);
  if (index < CHUNK) {
    sums[args.atAlong + sumPlace(row, chunk, head, tile) + index] = sum;
  }
  if (SKIP) {
    for (var c = 0u; c < 4u; c++) { // unroll
      ofD[index / 16u * 64u + index % 16u + 16u * c] = skipped[c];
    }
    workgroupBarrier();
    if (index < 64u) {
      var column = 0.0;
      for (var i = 0u; i < 8u; i++) {
        column += ofD[i * 64u + index];
      }
      ofD[index] = column;
      if (args.dChannel != 0u && firstChannel + index < args.headDim) {
        sums[args.atSharedD + sharedPlace(row, chunk, head) * args.headDim + firstChannel + index] = column;
      }
    }
    workgroupBarrier();
    if (args.dChannel == 0u && index == 0u) {
      var whole = 0.0;
      for (var i = 0u; i < min(64u, args.headDim - firstChannel); i++) {
        whole += ofD[i];
      }
      let part = ((args.firstRow + row) * args.chunks + chunk) * args.channelTiles + tile;
      sums[args.atSharedD + part * args.heads + head] = whole;
    }
  }
  if (!GATE) {
    return;
  }
  let gram = gramPlace(row, chunk, group);
  for (var first = 0u; first < count; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      let before = first + i % SLICE;
      let quad = i / SLICE;
      var rows = vec4f();
      for (var c = 0u; c < 4u; c++) { // unroll
        let t = rowOf(quad, c);
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
    multiplySlices(&total, index);
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = index / 16u + 8u * r;
    if (t < count) {
      let ofX = rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim;
      let ofZ = rowPlace(row, start + t, args.zRow) + args.zOffset + head * args.headDim;
      let place = rowPlace(row, start + t, args.heads * args.headDim) + head * args.headDim;
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + index % 16u + 16u * c;
        if (p < args.headDim) {
          var value = total[r][c];
          if (SKIP) {
            value += work[args.atD + head * args.dHead + p * args.dChannel] * x[ofX + p];
          }
          dz[place + p] = dy[place + p] * value * siluAndSlope(z[ofZ + p]).y;
        }
      }
    }
  }
}
