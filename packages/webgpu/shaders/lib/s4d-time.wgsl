// The order in which a scan of S4D takes the steps of a row, and their resets. Expects `args.length` and `resets`.

override REVERSED: bool = false;
override RESETS: bool = false;

/// Steps of a tile, one for each bit of its marks.
const TILE = 32u;

/// The index in the row's tensors of the step that the scan takes as number i.
fn stepOf(row: u32, i: u32) -> u32 {
  return row * args.length + select(i, args.length - 1u - i, REVERSED);
}

/// The resets of `count` steps, at most TILE, as bits.
fn marksOf(row: u32, first: u32, count: u32) -> u32 {
  var marks = 0u;
  if (RESETS) {
    for (var i = 0u; i < count; i++) {
      marks |= select(0u, 1u << i, resets[stepOf(row, first + i)] != 0u);
    }
  }
  return marks;
}
