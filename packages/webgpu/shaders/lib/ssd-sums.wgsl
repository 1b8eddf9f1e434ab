// What the kernels of the backward of Mamba-2's scan hand to each other in `sums`, and sums over the columns of a tile.
// Chunks have 64 steps there.
//
// | part | shape |
// | --- | --- |
// | along, ds · y of y from the state before the chunk | [rows, chunks, heads, channelTiles, CHUNK] |
// | behind, u · du of du from behind the chunk; entered, x · du | the same |
// | passing, what passes through each decay within the chunk | [rows, chunks, heads, CHUNK] |
// | products, Σ_heads L ∘ ds uᵀ, of each range of heads | [ranges, rows, chunks, groups, CHUNK, CHUNK] |
// | shared: parts of dA, of dDtBias | [batch, chunks, heads] each |
// | shared: parts of dD | [batch, chunks, heads, headDim], or [batch, chunks, channelTiles, heads] |

fn sumPlace(row: u32, chunk: u32, head: u32, tile: u32) -> u32 {
  return (chunkHead(row, chunk, head) * args.channelTiles + tile) * CHUNK;
}

fn productPlace(range: u32, rows: u32, row: u32, chunk: u32, group: u32) -> u32 {
  return args.atProducts + (((range * rows + row) * args.chunks + chunk) * args.groups + group) * CHUNK * CHUNK;
}

/// The place of a head in parts of all rows and chunks.
fn sharedPlace(row: u32, chunk: u32, head: u32) -> u32 {
  return ((args.firstRow + row) * args.chunks + chunk) * args.heads + head;
}
