enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// link: product-args, weights, x-stored, inputs, turned-inputs, result-{singles,quads,halves}
// y = x weightᵀ + bias on the device's matrix units, with float32 sums: 4 subgroups of 32 lanes as 2 × 2, each with
// SIDE × SIDE matrices of 16 × 16. x, and weights of other formats than halves, are rounded to halves on their way into
// workgroup memory; with PAIRS each is a pair of halves (22 bits), and the second halves are multiplied too. Only
// devices with the feature that is enabled here run it. `%` tells the compiler which offsets are bounded, so that it
// drops the checks that Dawn adds to every load of a matrix, which take a fifth of the time; it would not see through a
// function. Tile: 32 SIDE rows × 32 SIDE outputs × 32 inputs. Bytes a tile: 4096 SIDE of x, f32, or 2048
// SIDE in halves, and 2048 SIDE of weights in halves, for 65536 SIDE² operations (half as many again to three times
// that with PAIRS). Workgroup memory: 5 KiB · SIDE, twice that with PAIRS.
//
// An operand that lies turned stays so in its tile, input by input, and its matrices are loaded in the other order.
// With SCALED, x is multiplied by a power of two that brings its largest element to 2^13 … 2^14, and the product is
// divided by it: gradients are often smaller than halves can be.

const SIDE: u32 = 2u; // constant
override PAIRS: bool = false;
override SCALED: bool = false;
/// Whether x is stored in halves: in rows of eights, and neither turned, nor scaled, nor in pairs.
override X_HALVES: bool = false;

@group(0) @binding(6) var<storage, read> largest: array<u32>; // [1], the bits of x's largest magnitude

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Result = subgroup_matrix_result<f32, 16, 16>;

const LANES = 128u;
/// vec4us, of eight halves each, from row to row of a tile: four for its inputs, and one more against bank conflicts.
const STRIDE = 5u;
/// One operand's part of a tile.
const PART = 32u * SIDE * STRIDE;
/// vec4us of an input of an operand that lies turned, and from one input to the next.
const ACROSS = 4u * SIDE;
const TURNED_STRIDE = ACROSS + 1u;
/// vec4us from row to row of a subgroup's row of matrices, on its way out.
const PANEL_STRIDE = 4u * SIDE + 1u;
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
  let scale = scaleOf();
  var sums: array<Result, SIDE * SIDE>;
  let count = (args.depth + 31u) / 32u;
  let perSplit = (count + args.splits - 1u) / args.splits;
  let begin = tile_id.z * perSplit;
  let end = min(begin + perSplit, count);
  // The next tile is on its way to registers while this one is multiplied.
  var nextX: array<Eight, SIDE>;
  var nextXHalves: array<vec4u, SIDE>;
  var nextW: array<Eight, SIDE>;
  var nextHalves: array<vec4u, SIDE>;
  for (var i = 0u; i < SIDE; i++) { // unroll
    if (X_HALVES) {
      nextXHalves[i] = inputHalves8(cornerOf(false, i, index, firstRow, 32u * begin));
    } else {
      nextX[i] = inputs8(cornerOf(X_TURNED, i, index, firstRow, 32u * begin));
    }
    if (FORMAT == 1u) {
      nextHalves[i] = halves8(cornerOf(WEIGHT_TURNED, i, index, firstOutput, 32u * begin));
    } else {
      nextW[i] = weights8(cornerOf(WEIGHT_TURNED, i, index, firstOutput, 32u * begin));
    }
  }
  for (var tile = begin; tile < end; tile++) {
    workgroupBarrier();
    for (var i = 0u; i < SIDE; i++) { // unroll
      if (X_HALVES) {
        tiles[slotOf(false, i, index)] = nextXHalves[i];
      } else {
        let scaled = Eight(scale.x * nextX[i].first, scale.x * nextX[i].second);
        tiles[slotOf(X_TURNED, i, index)] = rounded(scaled);
        if (PAIRS) {
          tiles[2u * PART + slotOf(X_TURNED, i, index)] = left(scaled);
        }
      }
      let at = PART + slotOf(WEIGHT_TURNED, i, index);
      if (FORMAT == 1u) {
        tiles[at] = nextHalves[i];
      } else {
        tiles[at] = rounded(nextW[i]);
        if (PAIRS) {
          tiles[2u * PART + at] = left(nextW[i]);
        }
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < SIDE; i++) { // unroll
      if (X_HALVES) {
        nextXHalves[i] = inputHalves8(cornerOf(false, i, index, firstRow, 32u * (tile + 1u)));
      } else {
        nextX[i] = inputs8(cornerOf(X_TURNED, i, index, firstRow, 32u * (tile + 1u)));
      }
      if (FORMAT == 1u) {
        nextHalves[i] = halves8(cornerOf(WEIGHT_TURNED, i, index, firstOutput, 32u * (tile + 1u)));
      } else {
        nextW[i] = weights8(cornerOf(WEIGHT_TURNED, i, index, firstOutput, 32u * (tile + 1u)));
      }
    }
    for (var k = 0u; k < 2u; k++) { // unroll
      var rights: array<Right, SIDE>;
      for (var c = 0u; c < SIDE; c++) { // unroll
        if (WEIGHT_TURNED) {
          let at = PART + 16u * k * TURNED_STRIDE + 2u * (across * SIDE + c);
          rights[c] = subgroupMatrixLoad<Right, row_major>(&tiles, at, TURNED_STRIDE);
        } else {
          let at = PART + (across * SIDE + c) * 16u * STRIDE + 2u * k;
          rights[c] = subgroupMatrixLoad<Right, col_major>(&tiles, at, STRIDE);
        }
      }
      for (var r = 0u; r < SIDE; r++) { // unroll
        var lefts: Left;
        if (X_TURNED) {
          let at = 16u * k * TURNED_STRIDE + 2u * (down * SIDE + r);
          lefts = subgroupMatrixLoad<Left, col_major>(&tiles, at, TURNED_STRIDE);
        } else {
          let at = (down * SIDE + r) * 16u * STRIDE + 2u * k;
          lefts = subgroupMatrixLoad<Left, row_major>(&tiles, at, STRIDE);
        }
        for (var c = 0u; c < SIDE; c++) { // unroll
          sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(lefts, rights[c], sums[r * SIDE + c]);
        }
        if (PAIRS) {
          var rest: Left;
          if (X_TURNED) {
            let at = 2u * PART + 16u * k * TURNED_STRIDE + 2u * (down * SIDE + r);
            rest = subgroupMatrixLoad<Left, col_major>(&tiles, at, TURNED_STRIDE);
          } else {
            let at = 2u * PART + (down * SIDE + r) * 16u * STRIDE + 2u * k;
            rest = subgroupMatrixLoad<Left, row_major>(&tiles, at, STRIDE);
          }
          for (var c = 0u; c < SIDE; c++) { // unroll
            sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(rest, rights[c], sums[r * SIDE + c]);
          }
        }
      }
      if (PAIRS && FORMAT != 1u) {
        for (var c = 0u; c < SIDE; c++) { // unroll
          if (WEIGHT_TURNED) {
            let at = 3u * PART + 16u * k * TURNED_STRIDE + 2u * (across * SIDE + c);
            rights[c] = subgroupMatrixLoad<Right, row_major>(&tiles, at, TURNED_STRIDE);
          } else {
            let at = 3u * PART + (across * SIDE + c) * 16u * STRIDE + 2u * k;
            rights[c] = subgroupMatrixLoad<Right, col_major>(&tiles, at, STRIDE);
          }
        }
        for (var r = 0u; r < SIDE; r++) { // unroll
          var lefts: Left;
          if (X_TURNED) {
            let at = 16u * k * TURNED_STRIDE + 2u * (down * SIDE + r);
            lefts = subgroupMatrixLoad<Left, col_major>(&tiles, at, TURNED_STRIDE);
          } else {
            let at = (down * SIDE + r) * 16u * STRIDE + 2u * k;
            lefts = subgroupMatrixLoad<Left, row_major>(&tiles, at, STRIDE);
          }
          for (var c = 0u; c < SIDE; c++) { // unroll
            sums[r * SIDE + c] = subgroupMatrixMultiplyAccumulate(lefts, rights[c], sums[r * SIDE + c]);
          }
        }
      }
    }
  }
  // Sums go out through workgroup memory, a row of matrices of each subgroup at a time, so that lanes know rows and
  // outputs and write whole lines. What they are added to is on its way before.
  let panel = (2u * down + across) * 16u * PANEL_STRIDE;
  for (var r = 0u; r < SIDE; r++) { // unroll
    let row = firstRow + (down * SIDE + r) * 16u;
    let output = firstOutput + across * SIDE * 16u;
    var added: array<vec4f, 2u * SIDE>;
    if (ACCUMULATE) {
      for (var c = 0u; c < SIDE; c++) { // unroll
        for (var j = 0u; j < 2u; j++) { // unroll
          let to = min(placeOf(2u * c + j, lane) + vec2u(row, output), vec2u(args.rows, args.outputs) - 1u);
          added[2u * c + j] = writtenFour(resultAt(tile_id.z, to), args.outputs - to.y);
        }
      }
    }
    workgroupBarrier();
    for (var c = 0u; c < SIDE; c++) { // unroll
      subgroupMatrixStore<row_major>(&tiles, panel + 4u * c, sums[r * SIDE + c], PANEL_STRIDE);
    }
    workgroupBarrier();
    for (var c = 0u; c < SIDE; c++) { // unroll
      for (var j = 0u; j < 2u; j++) { // unroll
        let place = placeOf(2u * c + j, lane);
        let to = place + vec2u(row, output);
        if (to.x < args.rows && to.y < args.outputs) {
          var values = scale.y * bitcast<vec4f>(tiles[panel + PANEL_STRIDE * place.x + place.y / 4u]);
          if (BIAS) {
            let at = args.yOffset + to.y;
            values += vec4f(bias[at], bias[at + 1u], bias[at + 2u], bias[at + 3u]);
          }
          if (ACCUMULATE) {
            values += added[2u * c + j];
          }
          writeFour(resultAt(tile_id.z, to), values, args.outputs - to.y);
        }
      }
    }
  }
}

/// The place in y of a row and an output of a part.
fn resultAt(part: u32, to: vec2u) -> u32 {
  return (part * args.rows + to.x) * args.yRow + args.yOffset + to.y;
}

/// Row and first output of the four that a lane writes in its j-th turn, in its subgroup's row of matrices.
fn placeOf(j: u32, lane: u32) -> vec2u {
  let i = 32u * j + lane;
  return vec2u(i / (4u * SIDE), 4u * (i % (4u * SIDE)));
}

/// The place, within a part of the tiles, of the eight values that a lane brings in its i-th turn.
fn slotOf(turned: bool, i: u32, index: u32) -> u32 {
  let j = i * LANES + index;
  return select(j / 4u * STRIDE + j % 4u, j / ACROSS * TURNED_STRIDE + j % ACROSS, turned);
}

/// The first of them: row (or output), and input. They go along the inputs, or along the rows of an operand that lies
/// turned.
fn cornerOf(turned: bool, i: u32, index: u32, row: u32, input: u32) -> vec2u {
  let j = i * LANES + index;
  return select(
    vec2u(row + j / 4u, input + 8u * (j % 4u)),
    vec2u(row + 8u * (j % ACROSS), input + j / ACROSS),
    turned,
  );
}

/// The power of two that x is multiplied by, and its inverse.
fn scaleOf() -> vec2f {
  if (!SCALED) {
    return vec2f(1.0);
  }
  let exponent = largest[0] >> 23u;
  let power = select(clamp(267u - exponent, 1u, 253u), 127u, exponent == 0u || exponent >= 255u);
  return vec2f(bitcast<f32>(power << 23u), bitcast<f32>((254u - power) << 23u));
}

/// Eight values of x. Inputs past the last are zero, and rows past the last hold anything, as do the outputs that they
/// make.
fn inputs8(corner: vec2u) -> Eight {
  let row = corner.x;
  let input = corner.y;
  var result: Eight;
  if (X_TURNED) {
    if (input < args.depth) {
      result.first = turnedInput(input, row);
      result.second = turnedInput(input, row + 4u);
    }
    return result;
  }
  let base = args.xOffset + min(row, args.rows - 1u) * args.xRow;
  if (input < args.depth) {
    result.first = input4(base, input, args.depth);
  }
  if (input + 4u < args.depth) {
    result.second = input4(base, input + 4u, args.depth);
  }
  return result;
}

/// Eight values of x as they are stored, in halves.
fn inputHalves8(corner: vec2u) -> vec4u {
  if (corner.y >= args.depth) {
    return vec4u();
  }
  return bitcast<vec4u>(x[(args.xOffset + min(corner.x, args.rows - 1u) * args.xRow + corner.y) >> 3u]);
}

fn weights8(corner: vec2u) -> Eight {
  let input = corner.y;
  var result: Eight;
  if (WEIGHT_TURNED) {
    if (input < args.depth) {
      result.first = weight4(input, corner.x);
      result.second = weight4(input, corner.x + 4u);
    }
    return result;
  }
  let output = min(corner.x, args.outputs - 1u);
  if (input < args.depth) {
    result.first = weight4(output, input);
  }
  if (input + 4u < args.depth) {
    result.second = weight4(output, input + 4u);
  }
  return result;
}

/// Eight halves as they are stored; rows are padded with zeros to whole tiles of inputs.
fn halves8(corner: vec2u) -> vec4u {
  if (corner.y >= args.depth) {
    return vec4u();
  }
  if (WEIGHT_TURNED) {
    return weight[(corner.y * paddedInputs() + corner.x) >> 3u];
  }
  return weight[(min(corner.x, args.outputs - 1u) * paddedInputs() + corner.y) >> 3u];
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
