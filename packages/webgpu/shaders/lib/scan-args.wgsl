// Arguments and bindings of selective-scan.wgsl and selective-scan-euler.wgsl. Each binds B and C in its own way, as 4
// and 5. Expects the libraries `math`, and `stored-floats` or `stored-halves`.

struct Args {
  length: u32,
  dim: u32,
  states: u32,
  chunkLength: u32,
  chunks: u32,
  summaries: u32, // where the chunks' Σ delta begin in `state`
  channelsPerGroup: u32,
  tilesPerGroup: u32,
  // Strides of a time step and of a group, and the offset of the first one, in elements of B's and C's bindings.
  bRow: u32,
  bGroup: u32,
  bOffset: u32,
  cRow: u32,
  cGroup: u32,
  cOffset: u32,
  // The same of z, in its elements.
  zRow: u32,
  zOffset: u32,
  keptTiles: u32, // of KEPT steps, a row
  // Whether there is a D, and a deltaBias: 1 or 0. They are read once a channel, so that a pipeline of their own would
  // gain nothing.
  hasD: u32,
  hasDeltaBias: u32,
  // Whether `state` holds the states to begin with: 1, or 0 where they are zero.
  begun: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> u: array<Stored>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> delta: array<Stored>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read> z: array<Stored>; // [batch · length, zRow]
// A [dim, states], D [dim], deltaBias [dim]; then, with RESETS, the marks as bits [batch, length].
@group(0) @binding(6) var<storage, read> constants: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<Stored>; // [batch, length, dim]
// MODE 0: [batch, dim, states]. MODE 1, 2: [batch, chunks, dim, states], then [batch, chunks, dim] of Σ delta and
// survived.
@group(0) @binding(8) var<storage, read_write> state: array<f32>;

/// 1 where the states before every KEPT steps go to `kept`; chunks are then multiples of KEPT.
const KEEP: u32 = 0u; // constant
const KEPT: u32 = 16u; // constant

override MODE: u32 = 0u;
override SOFTPLUS: bool = true;
override GATE: bool = true;

const LOG2E = 1.44269504088896340736;

fn discretised(x: f32) -> f32 {
  if (SOFTPLUS) {
    return softplus(x);
  }
  return x;
}
