// Sums over the rows of a matrix, or of its product with the normalised rows of another, in a fixed order. A workgroup
// owns COLUMNS columns of one part of the rows; 256 / COLUMNS lanes share a column, each of which adds up every so many
// rows, four at a time, and pairs of lanes add up their sums. Each part gives a row of sums.
// Bytes an element: 4 read, or 8.

struct Args {
  rows: u32,
  columns: u32,
  partRows: u32, // rows of a part
  begin: u32, // the first element
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [parts, columns]
@group(0) @binding(3) var<storage, read> other: array<f32>; // [rows, columns]
@group(0) @binding(4) var<storage, read> moments: array<vec4f>; // [rows], as norm-backward.wgsl leaves them

/// Whether elements are multiplied by those of `other`, normalised by its moments.
override NORMED: bool = false;

const COLUMNS = 32u;
const SHARES = 256u / COLUMNS;

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let column = min(tile_id.x * COLUMNS + index % COLUMNS, args.columns - 1u);
  let first = tile_id.y * args.partRows;
  let end = min(first + args.partRows, args.rows);
  var sums = vec4f();
  for (var row = first + index / COLUMNS; row < end; row += 4u * SHARES) {
    // Loads of rows that are not there repeat the last, so that all four go out together.
    var values: vec4f;
    for (var k = 0u; k < 4u; k++) {
      let at = min(row + k * SHARES, end - 1u);
      values[k] = x[args.begin + at * args.columns + column];
      if (NORMED) {
        let moment = moments[at];
        values[k] *= ((other[at * args.columns + column] - moment.x) - moment.y) * moment.z * moment.w;
      }
    }
    sums += select(vec4f(), values, vec4u(row) + vec4u(0u, 1u, 2u, 3u) * SHARES < vec4u(end));
  }
  shares[index] = (sums.x + sums.y) + (sums.z + sums.w);
  for (var half = 128u; half >= COLUMNS; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      shares[index] += shares[index + half];
    }
  }
  if (index < COLUMNS && tile_id.x * COLUMNS + index < args.columns) {
    y[tile_id.y * args.columns + column] = shares[index];
  }
}
