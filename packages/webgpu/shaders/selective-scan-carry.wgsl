// link: rate
// The second of the chunked scan's three passes: it hands the state from chunk to chunk. One lane for each (batch,
// channel, state) goes through the chunks in order. It replaces each chunk's last state from zero by the chunk's first
// state, and leaves the sequence's last state. A chunk's total decay is exp(A Σ delta), or 0 where the chunk holds a
// reset, so one scalar for each channel carries it, not one for each state. Bytes a chunk and state: 8, and 8 a channel
// shared by its states. Operations: 1 exp2, 3 multiplies or adds.

struct Args {
  batch: u32,
  dim: u32,
  states: u32,
  chunks: u32,
  discretization: u32, // 0 euler, 1 zoh
  begun: u32, // whether there is an initial state
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> constants: array<f32>; // A [dim, states], …
// [batch, chunks, dim, states], then [batch, chunks, dim] of Σ delta and survived
@group(0) @binding(2) var<storage, read_write> chunked: array<f32>;
// [batch, dim, states]: the initial state, if there is one, then the last one
@group(0) @binding(3) var<storage, read_write> state: array<f32>;

const DEPTH = 16u;
const LOG2E = 1.44269504088896340736;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let vectors = args.dim * args.states;
  if (i >= args.batch * vectors) {
    return;
  }
  let batch = i / vectors;
  let vector = i % vectors;
  let channel = vector / args.states;
  let summaries = args.batch * args.chunks * vectors;
  let A = constants[vector];
  let rate = select(A, A * LOG2E, args.discretization == 0u);
  let a = finiteRate(rate, args.discretization) * select(LOG2E, 1.0, args.discretization == 0u);
  var h = beginning(select(0.0, state[i], args.begun != 0u), rate, args.discretization);
  // Loads of DEPTH chunks are under way together; only h goes from one to the next.
  for (var first = 0u; first < args.chunks; first += DEPTH) {
    var ends: array<f32, DEPTH>;
    var decays: array<f32, DEPTH>;
    var survived: array<f32, DEPTH>;
    for (var k = 0u; k < DEPTH; k++) {
      let pair = batch * args.chunks + min(first + k, args.chunks - 1u);
      let summary = summaries + 2u * (pair * args.dim + channel);
      ends[k] = chunked[pair * vectors + vector];
      decays[k] = chunked[summary];
      survived[k] = chunked[summary + 1u];
    }
    for (var k = 0u; k < DEPTH; k++) {
      if (first + k < args.chunks) {
        chunked[(batch * args.chunks + first + k) * vectors + vector] = h;
        h = select(0.0, exp2(a * decays[k]) * h, survived[k] != 0.0) + ends[k];
      }
    }
  }
  state[i] = h;
}
