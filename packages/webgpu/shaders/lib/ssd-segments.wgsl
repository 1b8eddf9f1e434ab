// The states of a scan that is taken through segments of chunks, in one buffer. Matrices have a row a state, so that
// they are read as the right operand of a product.
//
// | part | shape |
// | --- | --- |
// | the state before each chunk; with several segments, from zero on | [rows, chunks, heads, state, headDim] |
// | with several: the state at a segment's end, then that before it | [rows, segments, heads, state, headDim] |
// | with several: what is left, at a chunk, of the state before its segment | [rows, chunks, heads, 4], four equal |

/// Whether there are several segments.
override SEGMENTED: bool = false;
/// Whether the scan begins at zero, whatever `carried` holds.
override FRESH: bool = false;

/// The first row of a segment's matrix, from the buffer's beginning on.
fn segmentPlace(row: u32, segment: u32, head: u32) -> u32 {
  return args.atEnds + ((row * args.segments + segment) * args.heads + head) * args.state;
}

fn throughPlace(row: u32, chunk: u32, head: u32) -> u32 {
  return args.atThrough + 4u * chunkHead(row, chunk, head);
}
