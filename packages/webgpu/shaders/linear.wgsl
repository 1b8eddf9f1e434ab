// link: weights, inputs
// y = x weightᵀ + bias, tiled: 256 lanes as 16 × 16, each with ROWS × 4 QUADS outputs in registers; tiles of x and of the weights in
// workgroup memory, packed along the inputs, each row padded by one vec4 against bank conflicts.
// Tile: 16 ROWS rows × 64 QUADS outputs × 4 DEPTH inputs. Bytes a tile step: 64 DEPTH (4 ROWS + 16 QUADS) read, f32, for
// 2 · 16 ROWS · 64 QUADS · 4 DEPTH operations. Workgroup memory: 16 (DEPTH + 1) (16 ROWS + 64 QUADS) bytes: 10 KiB at 4, 1, 4; 12 KiB at 8, 2, 2.

struct Args {
  inputs: u32,
  outputs: u32, // rows of this part of the matrix
  rows: u32,
  xRow: u32,
  xOffset: u32,
  yRow: u32,
  yOffset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // [outputs, inputs] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<f32>; // [outputs, blocks] for q8
@group(0) @binding(4) var<storage, read> bias: array<f32>; // [all outputs]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [rows, yRow]

const ROWS: u32 = 4u; // constant
const QUADS: u32 = 1u; // constant
const DEPTH: u32 = 4u; // constant
override BIAS: bool = false;
/// Adds to y rather than writing it: the residual.
override ACCUMULATE: bool = false;
/// Parts that the inputs are cut into where there are few tiles; each writes a y of its own, `rows` rows apart, for linear-sum.wgsl.
override SPLITS: u32 = 1u;

const STRIDE = DEPTH + 1u;
var<workgroup> xs: array<vec4f, 16u * ROWS * STRIDE>;
var<workgroup> ws: array<vec4f, 64u * QUADS * STRIDE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lx = index % 16u;
  let ly = index / 16u;
  let firstRow = tile_id.y * 16u * ROWS;
  let firstOutput = tile_id.x * 64u * QUADS;
  // ROWS · DEPTH = 16 and QUADS · DEPTH = 4: a lane brings one vec4 of x and one of the weights into each tile.
  let depth = index % DEPTH;
  let slot = (index / DEPTH) * STRIDE + depth;
  let row = min(firstRow + index / DEPTH, args.rows - 1u);
  let output = min(firstOutput + index / DEPTH, args.outputs - 1u);
  let tiles = (args.inputs + 4u * DEPTH - 1u) / (4u * DEPTH);
  let tilesPerSplit = (tiles + SPLITS - 1u) / SPLITS;
  let begin = tile_id.z * tilesPerSplit;
  let end = min(begin + tilesPerSplit, tiles);
  var sums: array<vec4f, ROWS * QUADS>;
  // The next tile is on its way to registers while this one is multiplied.
  var nextX = inputAt(row, 4u * (begin * DEPTH + depth));
  var nextW = weightAt(output, 4u * (begin * DEPTH + depth));
  for (var tile = begin; tile < end; tile++) {
    workgroupBarrier();
    xs[slot] = nextX;
    ws[slot] = nextW;
    workgroupBarrier();
    let ahead = 4u * ((tile + 1u) * DEPTH + depth);
    nextX = inputAt(row, ahead);
    nextW = weightAt(output, ahead);
    for (var k = 0u; k < DEPTH; k++) {
      for (var q = 0u; q < QUADS; q++) {
        let w0 = ws[(lx + 64u * q) * STRIDE + k];
        let w1 = ws[(lx + 64u * q + 16u) * STRIDE + k];
        let w2 = ws[(lx + 64u * q + 32u) * STRIDE + k];
        let w3 = ws[(lx + 64u * q + 48u) * STRIDE + k];
        let first = vec4f(w0.x, w1.x, w2.x, w3.x);
        let second = vec4f(w0.y, w1.y, w2.y, w3.y);
        let third = vec4f(w0.z, w1.z, w2.z, w3.z);
        let fourth = vec4f(w0.w, w1.w, w2.w, w3.w);
        for (var r = 0u; r < ROWS; r++) {
          let v = xs[(ly + 16u * r) * STRIDE + k];
          let i = q * ROWS + r;
          sums[i] = v.x * first + sums[i];
          sums[i] = v.y * second + sums[i];
          sums[i] = v.z * third + sums[i];
          sums[i] = v.w * fourth + sums[i];
        }
      }
    }
  }
  for (var q = 0u; q < QUADS; q++) {
    for (var r = 0u; r < ROWS; r++) {
      let row = firstRow + ly + 16u * r;
      for (var c = 0u; c < 4u; c++) {
        let output = firstOutput + lx + 64u * q + 16u * c;
        if (row < args.rows && output < args.outputs) {
          var value = sums[q * ROWS + r][c];
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

fn inputAt(row: u32, column: u32) -> vec4f {
  if (column < args.inputs) {
    return input4(args.xOffset + row * args.xRow, column);
  }
  return vec4f();
}

fn weightAt(output: u32, column: u32) -> vec4f {
  if (column < args.inputs) {
    return weight4(output, column);
  }
  return vec4f();
}
