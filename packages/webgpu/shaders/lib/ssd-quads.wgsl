// Products in tiles of 64 rows × 64 columns by 128 lanes, for operands that lie in whole vec4s, 16 values of depth at a
// time. A lane brings one block of 4 × 4: lanes of the first half from the left operand, the others from the right one.
// It stores the block depth by depth, so that a value of depth takes a lane 3 loads of four values for 8 × 4
// multiply-adds. A lane has the rows 4 ly … 4 ly + 3 and those 32 behind them, and the columns 4 lx … 4 lx + 3. The
// order of quads differs for each quad of depth, so that blocks of neighbouring lanes go to different banks.

const HALF = 256u;
var<workgroup> tiles: array<vec4f, 2u * HALF>; // [left or right, depth 16, quads 16]
/// Stores a block: each of its vectors is a quad of rows or columns at one depth.
fn storeBlock(half: u32, quad: u32, depth: u32, values: mat4x4f) {
  let into = half * HALF + 64u * depth + (quad ^ depth);
  tiles[into] = values[0];
  tiles[into + 16u] = values[1];
  tiles[into + 32u] = values[2];
  tiles[into + 48u] = values[3];
}

/// Adds the product of the two slices to the sums: one vector of four columns for each of the lane's rows.
fn multiplyBlocks(sums: ptr<function, array<vec4f, 8>>, lx: u32, ly: u32) {
  for (var d = 0u; d < 4u; d++) { // unroll
    for (var e = 0u; e < 4u; e++) { // unroll
      let at = 64u * d + 16u * e;
      let a = tiles[at + (ly ^ d)];
      let b = tiles[at + 8u + (ly ^ d)];
      let w = tiles[HALF + at + (lx ^ d)];
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
}
