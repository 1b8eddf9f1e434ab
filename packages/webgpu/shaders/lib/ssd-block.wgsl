// Products in tiles of 128 rows × 32 WIDE columns by 128 lanes, 16 values of depth at a time. A lane has two quads of
// rows, ly and 16 + ly, and WIDE quads of columns, lx + 8 q: a value of depth takes it 2 + WIDE loads of four values
// for 32 WIDE multiply-adds. Where a product is only wanted on and below a diagonal, the upper half of the rows leaves
// out slices of depth that begin behind it. The index of the depth is a constant, so that the bounds checks of a lane's
// loads are few.

const WIDE: u32 = 2u; // constant

const QUADS = 8u * WIDE;
const SLICE = 16u;

/// [depth, quads of rows]. The order of quads differs for each quad of depth, so that blocks of neighbouring lanes go
/// to different banks.
var<workgroup> left: array<array<vec4f, 32>, SLICE>;
var<workgroup> right: array<array<vec4f, QUADS>, SLICE>; // [depth, quads of columns]

/// Four rows by the quads of columns of a lane: [4 q + row].
alias Sums = array<vec4f, 4u * WIDE>;

/// Stores four values of depth of a quad of rows, each a vector.
fn storeRows(quad: u32, depth: u32, values: mat4x4f) {
  let place = quad ^ (2u * depth);
  left[4u * depth][place] = values[0];
  left[4u * depth + 1u][place] = values[1];
  left[4u * depth + 2u][place] = values[2];
  left[4u * depth + 3u][place] = values[3];
}

/// Adds the product of two slices to the sums of both of a lane's quads of rows.
fn multiplyBoth(upper: ptr<function, Sums>, lower: ptr<function, Sums>, lx: u32, ly: u32) {
  for (var d = 0u; d < 4u; d++) { // unroll
    let ofUpper = ly ^ (2u * d);
    let ofLower = (16u + ly) ^ (2u * d);
    for (var e = 0u; e < 4u; e++) { // unroll
      let a = left[4u * d + e][ofUpper];
      let b = left[4u * d + e][ofLower];
      for (var q = 0u; q < WIDE; q++) { // unroll
        let w = right[4u * d + e][lx + 8u * q];
        (*upper)[4u * q] = a.x * w + (*upper)[4u * q];
        (*upper)[4u * q + 1u] = a.y * w + (*upper)[4u * q + 1u];
        (*upper)[4u * q + 2u] = a.z * w + (*upper)[4u * q + 2u];
        (*upper)[4u * q + 3u] = a.w * w + (*upper)[4u * q + 3u];
        (*lower)[4u * q] = b.x * w + (*lower)[4u * q];
        (*lower)[4u * q + 1u] = b.y * w + (*lower)[4u * q + 1u];
        (*lower)[4u * q + 2u] = b.z * w + (*lower)[4u * q + 2u];
        (*lower)[4u * q + 3u] = b.w * w + (*lower)[4u * q + 3u];
      }
    }
  }
}

/// Adds the product of two slices to the sums of one quad of rows.
fn multiplyOne(sums: ptr<function, Sums>, lx: u32, quad: u32) {
  for (var d = 0u; d < 4u; d++) { // unroll
    let ofRows = quad ^ (2u * d);
    for (var e = 0u; e < 4u; e++) { // unroll
      let a = left[4u * d + e][ofRows];
      for (var q = 0u; q < WIDE; q++) { // unroll
        let w = right[4u * d + e][lx + 8u * q];
        (*sums)[4u * q] = a.x * w + (*sums)[4u * q];
        (*sums)[4u * q + 1u] = a.y * w + (*sums)[4u * q + 1u];
        (*sums)[4u * q + 2u] = a.z * w + (*sums)[4u * q + 2u];
        (*sums)[4u * q + 3u] = a.w * w + (*sums)[4u * q + 3u];
      }
    }
  }
}
