// A product of two matrices in a tile of 64 rows × 64 columns by 128 lanes, 16 values of depth at a time: a lane has 8
// rows × 4 columns in registers, and a value of depth takes it 3 loads of four values for 32 multiply-adds. A lane has
// the columns index % 16 + 16 c and the rows index / 16 + 8 r, so that lanes side by side read and write what lies side
// by side. A quad is four rows, or four columns, of one lane. Rows of quads are 17 apart against bank conflicts.

const SLICE = 16u;
const STRIDE = 17u;
var<workgroup> left: array<vec4f, SLICE * STRIDE>; // [depth, quads of rows]
var<workgroup> right: array<vec4f, SLICE * STRIDE>; // [depth, quads of columns]

/// The c-th row of a quad.
fn rowOf(quad: u32, c: u32) -> u32 {
  return quad % 8u + 8u * (quad / 8u * 4u + c);
}

/// The c-th column of a quad.
fn columnOf(quad: u32, c: u32) -> u32 {
  return quad + 16u * c;
}

/// Adds the product of the two slices to the sums: one vector of four columns for each of the lane's rows.
fn multiplySlices(sums: ptr<function, array<vec4f, 8>>, index: u32) {
  let lx = index % 16u;
  let ly = index / 16u;
  for (var d = 0u; d < SLICE; d++) {
    let a = left[d * STRIDE + ly];
    let b = left[d * STRIDE + 8u + ly];
    let w = right[d * STRIDE + lx];
    (*sums)[0] = a.x * w + (*sums)[0];
    (*sums)[1] = a.y * w + (*sums)[1];
    (*sums)[2] = a.z * w + (*sums)[2];
    (*sums)[3] = a.w * w + (*sums)[3];
    (*sums)[4] = b.x * w + (*sums)[4];
    (*sums)[5] = b.y * w + (*sums)[5];
    (*sums)[6] = b.z * w + (*sums)[6];
    (*sums)[7] = b.w * w + (*sums)[7];
  }
}
