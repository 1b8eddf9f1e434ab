// Sums over the columns of a tile of 64 rows, of which each lane has a part of 8 rows: see lib/ssd-tile.wgsl.
var<workgroup> partials: array<f32, 1088>; // [64, 16], rows 17 apart

/// The sum of row `index` of the tile, for lanes below 64. Every lane of the workgroup calls it.
fn rowSum(values: array<f32, 8>, index: u32) -> f32 {
  workgroupBarrier();
  for (var r = 0u; r < 8u; r++) { // unroll
    partials[(index / 16u + 8u * r) * 17u + index % 16u] = values[r];
  }
  workgroupBarrier();
  var sum = 0.0;
  if (index < 64u) {
    for (var i = 0u; i < 16u; i++) {
      sum += partials[index * 17u + i];
    }
  }
  return sum;
}
