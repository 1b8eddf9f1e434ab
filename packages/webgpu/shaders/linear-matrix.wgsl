enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// link: product-args, weights, x-stored, inputs
// y = x weightᵀ + bias on the device's matrix units, with float32 sums: 4 subgroups of 32 lanes as 2 × 2, each with
// SIDE × SIDE matrices of 16 × 16. x, and weights of other formats than halves, are rounded to halves on their way into
// workgroup memory; with PAIRS each is a pair of halves (22 bits), and the second halves are multiplied too. Only
// devices with the feature that is enabled here run it. `%` tells the compiler which offsets are bounded, so that it
// drops the checks that Dawn adds to every load of a matrix, which take a fifth of the time. Tile: 32 SIDE rows × 32
// SIDE outputs × 32 inputs. Bytes a tile: 4096 SIDE of x, f32, and 2048 SIDE of weights in halves, for 65536 SIDE²
// operations (half as many again to three times that with PAIRS). Workgroup memory: 5 KiB · SIDE, twice that with
// PAIRS.

const SIDE: u32 = 2u; // constant
override PAIRS: bool = false;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Result = subgroup_matrix_result<f32, 16, 16>;

const LANES = 128u;
/// vec4us, of eight halves each, from row to row of a tile: four for its inputs, and one more against bank conflicts.
const STRIDE = 5u;
/// One operand's part of a tile.
const PART = 32u * SIDE * STRIDE;
/// x and the weights, and behind them the rests of their rounding; at the end the sums on their way out.
var<workgroup> tiles: array<vec4u, select(2u, 4u, PAIRS) * PART>;

struct Eight {
  first: vec4f,
  second: vec4f,
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let firstRow = tile_id.y * 32u * SIDE;
  let firstOutput = tile_id.x * 32u * SIDE;
  let down = subgroup / 2u % 2u;
  let across = subgroup % 2u;
  let slot = index / 4u * STRIDE + index % 4u;
  var sums: array<Result, SIDE * SIDE>;
  let count = (args.depth + 31u) / 32u;
  let perSplit = (count + SPLITS - 1u) / SPLITS;
  let begin = tile_id.z * perSplit;
  let end = min(begin + perSplit, count);
  let first = 32u * begin + 8u * (index % 4u);
  // The next tile is on its way to registers while this one is multiplied.
  var nextX: array<Eight, SIDE>;
  var nextW: array<Eight, SIDE>;
  var nextHalves: array<vec4u, SIDE>;
  for (var i = 0u; i < SIDE; i++) { // unroll
    nextX[i] = inputs8(firstRow + 32u * i + index / 4u, first);
    if (FORMAT == 1u) {
      nextHalves[i] = halves8(firstOutput + 32u * i + index / 4u, first);
    } else {
      nextW[i] = weights8(firstOutput + 32u * i + index / 4u, first);
    }
  }
  for (var tile = begin; tile < end; tile++) {
    workgroupBarrier();
    for (var i = 0u; i < SIDE; i++) { // unroll
      let at = i * 32u * STRIDE + slot;
      tiles[at] = rounded(nextX[i]);
      if (PAIRS) {
        tiles[2u * PART + at] = left(nextX[i]);
      }
      if (FORMAT == 1u) {
        tiles[PART + at] = nextHalves[i];
      } else {
        tiles[PART + at] = rounded(nextW[i]);
        if (PAIRS) {
          tiles[3u * PART + at] = left(nextW[i]);
        }
      }
    }
    workgroupBarrier();
    let ahead = 32u * (tile + 1u) + 8u * (index % 4u);
    for (var i = 0u; i < SIDE; i++) { // unroll
      nextX[i] = inputs8(firstRow + 32u * i + index / 4u, ahead);
      if (FORMAT == 1u) {
        nextHalves[i] = halves8(firstOutput + 32u * i + index / 4u, ahead);
      } else {
        nextW[i] = weights8(firstOutput + 32u * i + index / 4u, ahead);
      }
    }
    for (var k = 0u; k < 2u; k++) { // unroll
      var rights: array<Right, SIDE>;
      for (var c = 0u; c < SIDE; c++) { // unroll
        let right = PART + (across * SIDE + c) * 16u * STRIDE + 2u * k;
        rights[c] = subgroupMatrixLoad<Right, col_major>(&tiles, right, STRIDE);
      }
      for (var r = 0u; r < SIDE; r++) { // unroll
        let at = (down * SIDE + r) * 16u * STRIDE + 2u * k;
        let lefts = subgroupMatrixLoad<Left, row_major>(&tiles, at, STRIDE);
        for (var c = 0u; c < SIDE; c++) { // unroll
          sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(lefts, rights[c], sums[r * SIDE + c]);
        }
        if (PAIRS) {
          let rest = subgroupMatrixLoad<Left, row_major>(&tiles, 2u * PART + at, STRIDE);
          for (var c = 0u; c < SIDE; c++) { // unroll
            sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(rest, rights[c], sums[r * SIDE + c]);
          }
        }
      }
      if (PAIRS && FORMAT != 1u) {
        for (var c = 0u; c < SIDE; c++) { // unroll
          let right = 3u * PART + (across * SIDE + c) * 16u * STRIDE + 2u * k;
          rights[c] = subgroupMatrixLoad<Right, col_major>(&tiles, right, STRIDE);
        }
        for (var r = 0u; r < SIDE; r++) { // unroll
          let lefts = subgroupMatrixLoad<Left, row_major>(&tiles, (down * SIDE + r) * 16u * STRIDE + 2u * k, STRIDE);
          for (var c = 0u; c < SIDE; c++) { // unroll
            sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(lefts, rights[c], sums[r * SIDE + c]);
          }
        }
      }
    }
  }
  // Sums go out through workgroup memory, one matrix of each subgroup at a time, so that lanes know rows and outputs
  // and write whole lines.
  let region = down * 160u + across * 80u;
  for (var r = 0u; r < SIDE; r++) { // unroll
    for (var c = 0u; c < SIDE; c++) { // unroll
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&tiles, region, sums[r * SIDE + c], 5u);
      workgroupBarrier();
      for (var j = 0u; j < 8u; j++) {
        let i = 32u * j + lane;
        let row = firstRow + (down * SIDE + r) * 16u + i / 16u;
        let output = firstOutput + (across * SIDE + c) * 16u + i % 16u;
        if (row < args.rows && output < args.outputs) {
          var value = bitcast<f32>(tiles[region + 5u * (i / 16u) + i % 16u / 4u][i % 4u]);
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

/// Eight columns of a row of x from `column` on, a multiple of 8. Columns past the last are zero, and rows past the
/// last repeat it.
fn inputs8(row: u32, column: u32) -> Eight {
  let base = args.xOffset + min(row, args.rows - 1u) * args.xRow;
  var result: Eight;
  if (column < args.depth) {
    result.first = input4(base, column, args.depth);
  }
  if (column + 4u < args.depth) {
    result.second = input4(base, column + 4u, args.depth);
  }
  return result;
}

fn weights8(row: u32, column: u32) -> Eight {
  let output = min(row, args.outputs - 1u);
  var result: Eight;
  if (column < args.depth) {
    result.first = weight4(output, column);
  }
  if (column + 4u < args.depth) {
    result.second = weight4(output, column + 4u);
  }
  return result;
}

/// Eight halves as they are stored; rows are padded with zeros to whole tiles of inputs.
fn halves8(row: u32, column: u32) -> vec4u {
  if (column < args.depth) {
    return weight[(min(row, args.outputs - 1u) * paddedInputs() + column) >> 3u];
  }
  return vec4u();
}

/// The nearest halves, computed in float32: a compiler may take a conversion to f16 and back for no change.
fn nearest(value: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(value) + 0x1000u) & vec4u(0xffffe000u));
}

fn rounded(value: Eight) -> vec4u {
  if (PAIRS) {
    return packed(nearest(value.first), nearest(value.second));
  }
  return packed(value.first, value.second);
}

fn left(value: Eight) -> vec4u {
  return packed(value.first - nearest(value.first), value.second - nearest(value.second));
}

fn packed(first: vec4f, second: vec4f) -> vec4u {
  return vec4u(bitcast<vec2u>(vec4<f16>(first)), bitcast<vec2u>(vec4<f16>(second)));
}
