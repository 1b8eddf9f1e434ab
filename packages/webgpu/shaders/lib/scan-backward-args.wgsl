// Arguments of the shaders of the backward scan. They share one workspace, a buffer that holds what the scan keeps
// between dispatches and copies of its small operands, since a browser promises only eight storage buffers a shader. A
// call may take the batch in several ranges of rows, one after another; the workspace holds one range at a time.
//
// A record is what a channel hands to the sums over rows and chunks: dA [states], then dB and dC [states] where they
// are constant, then dD and ddeltaBias, and zeros up to a multiple of 4.
//
// Each `at` is the place of a part of the workspace, in elements of the shader's own binding of it.

struct Args {
  length: u32,
  dim: u32,
  states: u32,
  groups: u32,
  firstRow: u32, // of the range, in the batch
  rows: u32, // of the range
  chunkLength: u32, // a multiple of the steps of a tile
  chunks: u32,
  tiles: u32, // of time, a row
  channelsPerGroup: u32,
  tilesPerGroup: u32, // of channels
  record: u32, // elements
  atA: u32, // [dim, states]
  atD: u32, // [dim]
  atBias: u32, // [dim]
  atMarks: u32, // [rows, length], bits
  atB: u32, // [rows, length, groups, states], or [dim, states] where constant
  atC: u32, // as B
  atInitial: u32, // [rows, dim, states]
  atLast: u32, // [rows, dim, states]: the cotangent of the last state
  atKept: u32, // [rows, tiles, dim, states]: h before each tile, in a chunk from h = 0 on
  atPassed: u32, // [rows, tiles, dim] of Σ d since the chunk began, 1 if no reset came since, 0, 0
  atStates: u32, // [rows, chunks, dim, states]: h at a chunk's end, from 0; then h at its beginning
  atAdjoints: u32, // [rows, chunks, dim, states]: g at a chunk's beginning, from 0; then what comes in at its end
  atTotals: u32, // [rows, chunks, dim] as atPassed, of whole chunks
  atRecords: u32, // [rows, chunks, dim, record]
  atPartials: u32, // [rows, length, groups, tilesPerGroup, 2, states]: dB and dC, summed over a tile of channels
  atFirst: u32, // [rows, dim, states]: the gradient of the initial state
  // Whether there is a D, a deltaBias, an initial state that a shader begins from, and a gradient of the last state: 1
  // or 0. They are read once a channel, so that a pipeline of their own would gain nothing.
  hasD: u32,
  hasDeltaBias: u32,
  hasInitial: u32,
  hasLast: u32,
}
