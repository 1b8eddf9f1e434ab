// y = xᵀ of a float32 matrix whose rows and columns are multiples of 4, in tiles of 64 × 64: a lane turns a block of
// 4 × 4 in registers, and workgroup memory lets it write another lane's, so that reads and writes both run along rows.
// Bytes an element: 8.

struct Args {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [rows, columns / 4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [columns, rows / 4]

/// [columns of the tile, quads of rows]. The order of quads differs for each quad of columns: see `slot`.
var<workgroup> held: array<vec4f, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let lx = index % 16u;
  let ly = index / 16u;
  let row = 64u * tile_id.y + 4u * ly;
  let column = 64u * tile_id.x + 4u * lx;
  if (row < args.rows && column < args.columns) {
    let stride = args.columns / 4u;
    let at = row * stride + column / 4u;
    let columns = transpose(mat4x4f(x[at], x[at + stride], x[at + 2u * stride], x[at + 3u * stride]));
    for (var i = 0u; i < 4u; i++) { // unroll
      let into = slot(4u * lx + i, ly);
      held[into] = columns[i];
    }
  }
  workgroupBarrier();
  let firstColumn = 64u * tile_id.x + 4u * ly;
  let quad = 16u * tile_id.y + lx;
  if (firstColumn < args.columns && 4u * quad < args.rows) {
    for (var i = 0u; i < 4u; i++) { // unroll
      let place = slot(4u * ly + i, lx);
      let at = (firstColumn + i) * (args.rows / 4u) + quad;
      y[at] = held[place];
    }
  }
}

/// The place of a quad of rows of a column, such that neighbouring lanes write and read different banks.
fn slot(column: u32, quad: u32) -> u32 {
  return column * 16u + (quad ^ (column / 4u));
}
