// link: ssd-args, ssd-work-singles, ssd-steps, ssd-tile, ssd-sums
// What the steps of a chunk hand to each other, backward: for each head W = L ∘ ds uᵀ, summed over a range of heads for
// dB and dC, and what passes through the decay of each step within the chunk,
//
//     passing_t = Σ_(i ≥ t) Σ_(j < t) (C_i · B_j) W_ij,
//
// from sums along each row and then down each column: a difference of two sums over all pairs would cancel where a step
// forgets all beside steps that pass on everything. A workgroup takes a chunk of a range of heads.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(3) var<storage, read> ds: array<f32>; // [batch, length, heads, headDim]
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

/// Sixteen rows of (C Bᵀ) ∘ W, which become their sums up to each column; and the sums of eighths of rows.
var<workgroup> passes: array<f32, 1040>; // [16, 64], rows 65 apart
var<workgroup> eighths: array<f32, 128>; // [16, 8]

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let chunk = tile_id.x;
  let group = tile_id.y;
  let range = tile_id.z % args.ranges;
  let row = tile_id.z / args.ranges;
  let rows = tiles_count.z / args.ranges;
  let start = chunk * CHUNK;
  let count = stepsOf(chunk);
  let dense = args.heads * args.headDim;
  let groupHeads = args.heads / args.groups;
  let firstHead = range * args.rangeHeads;
  let gram = gramPlace(row, chunk, group);
  var products = array<vec4f, 8>();
  for (var inGroup = firstHead; inGroup < min(firstHead + args.rangeHeads, groupHeads); inGroup++) {
    let head = group * groupHeads + inGroup;
    loadSteps(row, chunk, head, index);
    var total = array<vec4f, 8>();
    for (var first = 0u; first < args.headDim; first += SLICE) {
      workgroupBarrier();
      for (var k = 0u; k < 2u; k++) {
        let i = index + 128u * k;
        let d = i % SLICE;
        let quad = i / SLICE;
        let p = first + d;
        var ofRows = vec4f();
        var ofColumns = vec4f();
        if (p < args.headDim) {
          for (var c = 0u; c < 4u; c++) { // unroll
            let t = rowOf(quad, c);
            if (t < count) {
              ofRows[c] = ds[rowPlace(row, start + t, dense) + head * args.headDim + p];
            }
            let before = columnOf(quad, c);
            if (before < count) {
              ofColumns[c] = sizes[before]
                * x[rowPlace(row, start + before, args.xRow) + args.xOffset + head * args.headDim + p];
            }
          }
        }
        left[d * STRIDE + quad] = ofRows;
        right[d * STRIDE + quad] = ofColumns;
      }
      workgroupBarrier();
      multiplySlices(&total, index);
    }
    // What the lane has of (C Bᵀ) ∘ W below the diagonal.
    var below = array<vec4f, 8>();
    let before = index % 16u + vec4u(0u, 16u, 32u, 48u);
    for (var r = 0u; r < 8u; r++) { // unroll
      let t = index / 16u + 8u * r;
      let inside = (before <= vec4u(t)) & vec4<bool>(t < count);
      let product = select(vec4f(), total[r] * decaysBefore(t, before), inside);
      products[r] += product;
      below[r] = select(vec4f(), product * gramRow(gram + t * CHUNK, before), before < vec4u(t));
    }
    var passing = 0.0;
    for (var q = 0u; q < 4u; q++) {
      workgroupBarrier();
      for (var r = 0u; r < 8u; r++) { // unroll
        if (r / 2u == q) {
          let first = (index / 16u + 8u * (r % 2u)) * 65u + index % 16u;
          passes[first] = below[r].x;
          passes[first + 16u] = below[r].y;
          passes[first + 32u] = below[r].z;
          passes[first + 48u] = below[r].w;
        }
      }
      workgroupBarrier();
      let place = index / 8u * 65u + index % 8u * 8u;
      var eighth = 0.0;
      for (var i = 0u; i < 8u; i++) {
        eighth += passes[place + i];
      }
      eighths[index] = eighth;
      workgroupBarrier();
      var sum = 0.0;
      for (var i = 0u; i < index % 8u; i++) {
        sum += eighths[index / 8u * 8u + i];
      }
      for (var i = 0u; i < 8u; i++) {
        let value = passes[place + i];
        passes[place + i] = sum;
        sum += value;
      }
      workgroupBarrier();
      if (index < CHUNK) {
        for (var i = 0u; i < 16u; i++) {
          if (16u * q + i >= index) {
            passing += passes[i * 65u + index];
          }
        }
      }
    }
    if (index < CHUNK) {
      sums[args.atPassing + chunkHead(row, chunk, head) * CHUNK + index] = passing;
    }
  }
  let place = productPlace(range, rows, row, chunk, group);
  for (var r = 0u; r < 8u; r++) { // unroll
    for (var c = 0u; c < 4u; c++) { // unroll
      sums[place + (index / 16u + 8u * r) * CHUNK + index % 16u + 16u * c] = products[r][c];
    }
  }
}

/// What is left at step t of what was there at four steps. It may be infinite where these come later.
fn decaysBefore(t: u32, before: vec4u) -> vec4f {
  return vec4f(
    decayBetween(t, before.x),
    decayBetween(t, before.y),
    decayBetween(t, before.z),
    decayBetween(t, before.w));
}

/// C Bᵀ of a step with four others. It may be anything where these come later.
fn gramRow(place: u32, before: vec4u) -> vec4f {
  return vec4f(work[place + before.x], work[place + before.y], work[place + before.z], work[place + before.w]);
}
