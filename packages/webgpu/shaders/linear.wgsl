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

const STRIDE = DEPTH + 1u;
var<workgroup> xs: array<vec4f, 16u * ROWS * STRIDE>;
var<workgroup> ws: array<vec4f, 64u * QUADS * STRIDE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lx = index % 16u;
  let ly = index / 16u;
  let firstRow = tile_id.y * 16u * ROWS;
  let firstOutput = tile_id.x * 64u * QUADS;
  var sums: array<vec4f, ROWS * QUADS>;
  let tiles = (args.inputs + 4u * DEPTH - 1u) / (4u * DEPTH);
  for (var tile = 0u; tile < tiles; tile++) {
    let first = tile * 4u * DEPTH;
    workgroupBarrier();
    for (var j = index; j < 16u * ROWS * DEPTH; j += 256u) {
      let row = min(firstRow + j / DEPTH, args.rows - 1u);
      let column = first + 4u * (j % DEPTH);
      var value = vec4f();
      if (column < args.inputs) {
        value = input4(args.xOffset + row * args.xRow, column);
      }
      xs[(j / DEPTH) * STRIDE + j % DEPTH] = value;
    }
    for (var j = index; j < 64u * QUADS * DEPTH; j += 256u) {
      let output = min(firstOutput + j / DEPTH, args.outputs - 1u);
      let column = first + 4u * (j % DEPTH);
      var value = vec4f();
      if (column < args.inputs) {
        value = weight4(output, column);
      }
      ws[(j / DEPTH) * STRIDE + j % DEPTH] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      for (var q = 0u; q < QUADS; q++) {
        let w0 = ws[(lx + 64u * q) * STRIDE + k];
        let w1 = ws[(lx + 64u * q + 16u) * STRIDE + k];
        let w2 = ws[(lx + 64u * q + 32u) * STRIDE + k];
        let w3 = ws[(lx + 64u * q + 48u) * STRIDE + k];
        for (var r = 0u; r < ROWS; r++) {
          let v = xs[(ly + 16u * r) * STRIDE + k];
          sums[q * ROWS + r] += vec4f(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
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
          let at = row * args.yRow + args.yOffset + output;
          if (ACCUMULATE) {
            value += y[at];
          }
          y[at] = value;
        }
      }
    }
  }
}
