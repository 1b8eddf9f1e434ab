// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile, ssd-sums
// The gradients of C and, with OF_B, of B of Mamba-2's scan, summed over a range of heads, with W = Σ_heads L ∘ ds uᵀ:
//
//     (dC)_i = Σ_heads exp(α_i) Sᵀ ds_i + Σ_(j ≤ i) W_ij B_j
//     (dB)_j = Σ_heads exp(α_last - α_j) Gᵀ u_j + Σ_(i ≥ j) W_ij C_i
//
// They are one product, whose depth is the channels of all heads of the range and then the steps. A workgroup takes a
// chunk × 64 states of a range of heads.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]: ds, or x with OF_B
@group(0) @binding(3) var<storage, read> states: array<f32>; // [rows, chunks, heads, headDim, state]: S, or G with OF_B
@group(0) @binding(4) var<storage, read> other: array<f32>; // [batch, length, groups, state]: B, or C with OF_B
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<f32>; // [ranges, rows, length, groups, state]

override OF_B: bool = false;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let firstState = 64u * (tile_id.x % args.stateTiles);
  let chunk = tile_id.x / args.stateTiles;
  let group = tile_id.y;
  let range = tile_id.z % args.ranges;
  let row = tile_id.z / args.ranges;
  let rows = tiles_count.z / args.ranges;
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  let groupHeads = args.heads / args.groups;
  let firstHead = range * args.rangeHeads;
  var total = array<vec4f, 8>();
  for (var inGroup = firstHead; inGroup < min(firstHead + args.rangeHeads, groupHeads); inGroup++) {
    let head = group * groupHeads + inGroup;
    let ofStates = chunkHead(row, chunk, head) * args.headDim * args.state;
    loadSteps(row, chunk, head, index);
    for (var first = 0u; first < args.headDim; first += SLICE) {
      workgroupBarrier();
      for (var k = 0u; k < 2u; k++) {
        let i = index + 128u * k;
        var ofRows = vec4f();
        let p = first + i % SLICE;
        if (p < args.headDim) {
          for (var c = 0u; c < 4u; c++) { // unroll
            let t = rowOf(i / SLICE, c);
            if (t < count) {
              if (OF_B) {
                let u = sizes[t] * x[rowPlace(row, start + t, args.xRow) + args.xOffset + head * args.headDim + p];
                ofRows[c] = u * decayBetween(CHUNK - 1u, t);
              } else {
                let ds = x[rowPlace(row, start + t, args.heads * args.headDim) + head * args.headDim + p];
                ofRows[c] = ds * keptAt(t);
              }
            }
          }
        }
        left[i % SLICE * STRIDE + i / SLICE] = ofRows;
        var ofColumns = vec4f();
        let channel = first + i / 16u;
        if (channel < args.headDim) {
          for (var c = 0u; c < 4u; c++) { // unroll
            let n = firstState + columnOf(i % 16u, c);
            if (n < args.state) {
              ofColumns[c] = states[ofStates + channel * args.state + n];
            }
          }
        }
        right[i / 16u * STRIDE + i % 16u] = ofColumns;
      }
      workgroupBarrier();
      multiplySlices(&total, index);
    }
  }
  let ofProducts = productPlace(range, rows, row, chunk, group);
  for (var first = 0u; first < count; first += SLICE) {
    workgroupBarrier();
    for (var k = 0u; k < 2u; k++) {
      let i = index + 128u * k;
      // Lanes side by side bring values of W that lie side by side.
      let d = select(i % SLICE, i / 16u, OF_B);
      let quad = select(i / SLICE, i % 16u, OF_B);
      let depth = first + d;
      var ofRows = vec4f();
      for (var c = 0u; c < 4u; c++) { // unroll
        let t = rowOf(quad, c);
        if (OF_B) {
          if (t <= depth && depth < count) {
            ofRows[c] = sums[ofProducts + depth * CHUNK + t];
          }
        } else if (depth <= t && t < count) {
          ofRows[c] = sums[ofProducts + t * CHUNK + depth];
        }
      }
      left[d * STRIDE + quad] = ofRows;
      let t = first + i / 16u;
      var ofColumns = vec4f();
      if (t < count) {
        let ofOther = select(
          rowPlace(row, start + t, args.bRow) + args.bOffset,
          rowPlace(row, start + t, args.cRow) + args.cOffset,
          OF_B,
        ) + group * args.state;
        for (var c = 0u; c < 4u; c++) { // unroll
          let n = firstState + columnOf(i % 16u, c);
          if (n < args.state) {
            ofColumns[c] = other[ofOther + n];
          }
        }
      }
      right[i / 16u * STRIDE + i % 16u] = ofColumns;
    }
    workgroupBarrier();
    multiplySlices(&total, index);
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    let t = index / 16u + 8u * r;
    if (t < count) {
      let place = (((range * rows + row) * args.length + start + t) * args.groups + group) * args.state;
      for (var c = 0u; c < 4u; c++) { // unroll
        let n = firstState + index % 16u + 16u * c;
        if (n < args.state) {
          gradient[place + n] = total[r][c];
        }
      }
    }
  }
}
