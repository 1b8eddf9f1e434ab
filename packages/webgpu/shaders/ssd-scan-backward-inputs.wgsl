// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile, ssd-sums, ssd-row-sums
// The gradient of x of Mamba-2's scan, with u = d x: du_j = exp(α_last - α_j) G B_j + Σ_(i ≥ j) (C_i · B_j) exp(α_i -
// α_j) ds_i, with G the gradient of the state behind the chunk; dx = d du + D ds. The sums u · du of the first part and
// x · du of both are kept for the gradients of the steps. A workgroup takes a chunk × 64 channels of a head.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> ds: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(4) var<storage, read> B: array<f32>; // [batch, length, groups, state]
@group(0) @binding(5) var<storage, read> adjoints: array<f32>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(6) var<storage, read_write> dx: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

override SKIP: bool = true;

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
  let dense = args.heads * args.headDim;
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
            rows[c] = B[rowPlace(row, start + t, args.bRow) + args.bOffset + group * args.state + n];
          }
          let p = firstChannel + columnOf(quad, c);
          if (p < args.headDim) {
            columns[c] = adjoints[ofStates + p * args.state + n];
          }
        }
      }
      left[d * STRIDE + quad] = rows;
      right[d * STRIDE + quad] = columns;
    }
    workgroupBarrier();
    multiplySlices(&total, index);
  }
  var behind = array<f32, 8>();
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = index / 16u + 8u * r;
    total[r] *= decayBetween(CHUNK - 1u, t);
    behind[r] = sizes[t] * dot(inputs(row, chunk, head, t, firstChannel, index), total[r]);
  }
  let ofBehind = rowSum(behind, index);
  if (index < CHUNK) {
    sums[args.atBehind + sumPlace(row, chunk, head, tile) + index] = ofBehind;
  }
  let gram = gramPlace(row, chunk, group);
  for (var first = 0u; first < count; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      let quad = i % 16u;
      let later = first + i / 16u;
      var rows = vec4f();
      var columns = vec4f();
      if (later < count) {
        let ofDs = rowPlace(row, start + later, dense) + head * args.headDim;
        for (var c = 0u; c < 4u; c++) { // unroll
          let t = rowOf(quad, c);
          if (t <= later) {
            rows[c] = work[gram + later * CHUNK + t] * decayBetween(later, t);
          }
          let p = firstChannel + columnOf(quad, c);
          if (p < args.headDim) {
            columns[c] = ds[ofDs + p];
          }
        }
      }
      left[i / 16u * STRIDE + quad] = rows;
      right[i / 16u * STRIDE + quad] = columns;
    }
    workgroupBarrier();
    multiplySlices(&total, index);
  }
  var entered = array<f32, 8>();
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = index / 16u + 8u * r;
    entered[r] = dot(inputs(row, chunk, head, t, firstChannel, index), total[r]);
    if (t < count) {
      let place = rowPlace(row, start + t, dense) + head * args.headDim;
      for (var c = 0u; c < 4u; c++) { // unroll
        let p = firstChannel + index % 16u + 16u * c;
        if (p < args.headDim) {
          var value = sizes[t] * total[r][c];
          if (SKIP) {
            value += work[args.atD + head * args.dHead + p * args.dChannel] * ds[place + p];
          }
          dx[place + p] = value;
        }
      }
    }
  }
  let ofEntered = rowSum(entered, index);
  if (index < CHUNK) {
    sums[args.atEntered + sumPlace(row, chunk, head, tile) + index] = ofEntered;
  }
}

/// x of a step in the lane's columns.
fn inputs(row: u32, chunk: u32, head: u32, t: u32, firstChannel: u32, index: u32) -> vec4f {
  var values = vec4f();
  if (t < stepsOf(chunk)) {
    let ofX = rowPlace(row, chunk * CHUNK + t, args.xRow) + args.xOffset + head * args.headDim;
    for (var c = 0u; c < 4u; c++) { // unroll
      let p = firstChannel + index % 16u + 16u * c;
      if (p < args.headDim) {
        values[c] = x[ofX + p];
      }
    }
  }
  return values;
}
