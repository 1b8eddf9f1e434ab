// What the kernels of Mamba-2's scan share: arguments, and the steps of a chunk. `work` is one buffer, since a browser
// promises only eight storage buffers a shader:
//
// | part | shape |
// | --- | --- |
// | A, D, bias | [heads], [heads] or [heads, headDim], [heads] |
// | marks of resets, int32 | [rows, length] |
// | steps: d; α in two parts, a whole and a fractional one; the derivative of d | [rows, chunks, heads, CHUNK, 4] |
// | gram, C Bᵀ; tiles of 64 × 64 above the diagonal are left out | [rows, chunks, groups, CHUNK, CHUNK] |
//
// α is the sum of d A log2(e) from the chunk's first step on. Steps behind the last one have d = 0 and repeat α. It is
// two numbers so that differences of two sums are exact however far both have come: a decay between two steps is as
// exact as a product of the decays on the way.

struct Args {
  length: u32,
  heads: u32,
  headDim: u32,
  groups: u32,
  state: u32,
  chunks: u32,
  rowTiles: u32, // tiles of 64 steps in a chunk
  channelTiles: u32, // tiles of 64 channels in a head
  stateTiles: u32,
  firstRow: u32, // the first row of the batch
  segments: u32, // see lib/ssd-segments.wgsl
  segmentChunks: u32,
  atEnds: u32, // in rows of headDim
  atThrough: u32,
  xRow: u32, // elements from one step to the next
  xOffset: u32,
  dtRow: u32,
  dtOffset: u32,
  zRow: u32,
  zOffset: u32,
  bRow: u32,
  bOffset: u32,
  cRow: u32,
  cOffset: u32,
  atD: u32,
  atBias: u32,
  atMarks: u32,
  atSteps: u32,
  atGram: u32,
  dHead: u32, // elements of D from one head to the next
  dChannel: u32, // and from one channel to the next: 0 where D is a head's
  dtMin: f32,
  dtMax: f32,
  ranges: u32, // backward: ranges of heads whose dB and dC are summed together
  rangeHeads: u32,
  atAlong: u32, // places in `sums`, see lib/ssd-sums.wgsl
  atBehind: u32,
  atEntered: u32,
  atPassing: u32,
  atProducts: u32,
  atSharedA: u32,
  atSharedBias: u32,
  atSharedD: u32,
}

@group(0) @binding(0) var<uniform> args: Args;

/// Steps of a chunk: 64, 128 or 256.
override CHUNK: u32 = 64u;

/// The place of a chunk of a head among those of all rows.
fn chunkHead(row: u32, chunk: u32, head: u32) -> u32 {
  return (row * args.chunks + chunk) * args.heads + head;
}

fn stepPlace(row: u32, chunk: u32, head: u32, t: u32) -> u32 {
  return args.atSteps + 4u * (chunkHead(row, chunk, head) * CHUNK + t);
}

fn gramPlace(row: u32, chunk: u32, group: u32) -> u32 {
  return args.atGram + ((row * args.chunks + chunk) * args.groups + group) * CHUNK * CHUNK;
}

/// The group whose B and C a head reads.
fn groupOf(head: u32) -> u32 {
  return head / (args.heads / args.groups);
}

/// The number of steps of a chunk.
fn stepsOf(chunk: u32) -> u32 {
  return min(CHUNK, args.length - chunk * CHUNK);
}

/// The place of a step of a row of the call in tensors whose steps are `stride` elements apart.
fn rowPlace(row: u32, t: u32, stride: u32) -> u32 {
  return ((args.firstRow + row) * args.length + t) * stride;
}
