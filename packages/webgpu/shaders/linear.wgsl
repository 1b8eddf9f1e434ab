// link: product-args, weights, x-stored, inputs, turned-inputs
// y = x weightᵀ + bias, tiled: 256 lanes as 16 × 16, each with 4 SIDE × 4 SIDE outputs in registers. A lane brings one
// block of 4 × 4 into each tile: lanes of the first half from x, the others from the weights. It transposes the block,
// unless the operand lies turned, so that the tile is packed along rows and outputs; a step of the product is then 2
// SIDE loads of four values for 16 SIDE² multiply-adds, without shuffling registers. Tile: 64 SIDE rows × 64 SIDE
// outputs × 4 DEPTH inputs, with SIDE · DEPTH = 8: one block a lane, and 16 KiB of workgroup memory. Bytes a tile: 4096
// SIDE DEPTH read, f32, for 2 · (64 SIDE)² · 4 DEPTH operations: 16 SIDE operations a byte.

// [splits, rows, yRow]: where the inputs are cut, each part writes a y of its own, for linear-sum.wgsl.
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const SIDE: u32 = 1u; // constant
const DEPTH: u32 = 8u; // constant

const QUADS = 16u * SIDE; // quads of rows in a tile, and of outputs
const HALF = 4u * DEPTH * QUADS;
/// [x or weights, inputs, quads]. The order of quads differs for each quad of inputs: see `slot`.
var<workgroup> tiles: array<vec4f, 2u * HALF>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lx = index % 16u;
  let ly = index / 16u;
  let firstRow = tile_id.y * 4u * QUADS;
  let firstOutput = tile_id.x * 4u * QUADS;
  let half = index / 128u;
  // Neighbouring lanes bring what lies side by side in memory.
  let turned = select(WEIGHT_TURNED, X_TURNED, half == 0u);
  let depth = select(index % DEPTH, index % 128u / QUADS, turned);
  let quad = select(index % 128u / DEPTH, index % QUADS, turned);
  let count = (args.depth + 4u * DEPTH - 1u) / (4u * DEPTH);
  let perSplit = (count + args.splits - 1u) / args.splits;
  let begin = tile_id.z * perSplit;
  let end = min(begin + perSplit, count);
  var sums: array<vec4f, 4u * SIDE * SIDE>;
  // The next tile is on its way to registers while this one is multiplied.
  var next = blockAt(half, firstRow + 4u * quad, firstOutput + 4u * quad, 4u * (begin * DEPTH + depth));
  for (var tile = begin; tile < end; tile++) {
    workgroupBarrier();
    var brought = next;
    if (!turned) {
      brought = transpose(next);
    }
    let into = half * HALF + 4u * depth * QUADS + slot(quad, depth);
    tiles[into] = brought[0];
    tiles[into + QUADS] = brought[1];
    tiles[into + 2u * QUADS] = brought[2];
    tiles[into + 3u * QUADS] = brought[3];
    workgroupBarrier();
    next = blockAt(half, firstRow + 4u * quad, firstOutput + 4u * quad, 4u * ((tile + 1u) * DEPTH + depth));
    for (var d = 0u; d < DEPTH; d++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        let at = (4u * d + i) * QUADS;
        for (var q = 0u; q < SIDE; q++) { // unroll
          let w = tiles[HALF + at + slot(lx + 16u * q, d)];
          for (var r = 0u; r < SIDE; r++) { // unroll
            let v = tiles[at + slot(ly + 16u * r, d)];
            let s = 4u * (q * SIDE + r);
            sums[s] = v.x * w + sums[s];
            sums[s + 1u] = v.y * w + sums[s + 1u];
            sums[s + 2u] = v.z * w + sums[s + 2u];
            sums[s + 3u] = v.w * w + sums[s + 3u];
          }
        }
      }
    }
  }
  for (var q = 0u; q < SIDE; q++) { // unroll
    for (var r = 0u; r < SIDE; r++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        let row = firstRow + 4u * (ly + 16u * r) + i;
        for (var c = 0u; c < 4u; c++) { // unroll
          let output = firstOutput + 4u * (lx + 16u * q) + c;
          if (row < args.rows && output < args.outputs) {
            var value = sums[4u * (q * SIDE + r) + i][c];
            if (BIAS) {
              value += bias[args.yOffset + output];
            }
            let at = (tile_id.z * args.rows + row) * args.yRow + args.yOffset + output;
            if (ACCUMULATE) {
              value += y[at];
            }
            y[at] = value;
          }
        }
      }
    }
  }
}

/// The place of a quad in its row of the tile, such that blocks of neighbouring lanes go to different banks.
fn slot(quad: u32, depth: u32) -> u32 {
  return quad ^ (depth * SIDE);
}

/// Columns [column, column + 4) of four rows of x or of the weights, or the same four columns row by row where they lie
/// turned. Columns past the last are zero. Rows past the last hold anything, and so do the outputs that they make.
fn blockAt(half: u32, row: u32, output: u32, column: u32) -> mat4x4f {
  if (column >= args.depth) {
    return mat4x4f();
  }
  if (half == 0u) {
    if (X_TURNED) {
      return mat4x4f(
        turnedOrZero(column, row),
        turnedOrZero(column + 1u, row),
        turnedOrZero(column + 2u, row),
        turnedOrZero(column + 3u, row));
    }
    let last = args.rows - 1u;
    return mat4x4f(
      inputAt(min(row, last), column),
      inputAt(min(row + 1u, last), column),
      inputAt(min(row + 2u, last), column),
      inputAt(min(row + 3u, last), column));
  }
  if (WEIGHT_TURNED) {
    return mat4x4f(
      turnedWeight(column, output),
      turnedWeight(column + 1u, output),
      turnedWeight(column + 2u, output),
      turnedWeight(column + 3u, output));
  }
  let last = args.outputs - 1u;
  return mat4x4f(
    weight4(min(output, last), column),
    weight4(min(output + 1u, last), column),
    weight4(min(output + 2u, last), column),
    weight4(min(output + 3u, last), column));
}

fn inputAt(row: u32, column: u32) -> vec4f {
  return input4(args.xOffset + row * args.xRow, column, args.depth);
}

/// Four rows of a column of x that lies turned, zero past the last column.
fn turnedOrZero(column: u32, row: u32) -> vec4f {
  if (column >= args.depth) {
    return vec4f();
  }
  return turnedInput(column, row);
}

fn turnedWeight(column: u32, output: u32) -> vec4f {
  if (column >= args.depth) {
    return vec4f();
  }
  return weight4(column, output);
}
