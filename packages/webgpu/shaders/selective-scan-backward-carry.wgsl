// The second dispatch of a backward scan in chunks of time: it hands states from chunk to chunk, first to last, and
// adjoints, last to first. One lane for each (row, channel, state) and direction goes through the chunks. It replaces a
// chunk's last state from zero by the chunk's first state, and the adjoint that a chunk alone hands to the one before
// it by the adjoint that comes in at the chunk's end. Both use the chunk's total decay, exp(A Σ d), or 0 where it holds
// a reset. With GIVEN the forward scan kept the states, and adjoints alone are handed on. Bytes a chunk, state and
// direction: 8, and 16 a channel shared by its states.

@group(0) @binding(0) var<uniform> args: CarryArgs;
@group(0) @binding(1) var<storage, read_write> workspace: array<f32>;

/// The places of the parts are in floats; lib/scan-backward-args.wgsl tells what they hold.
struct CarryArgs {
  rows: u32,
  dim: u32,
  states: u32,
  chunks: u32,
  atA: u32,
  atInitial: u32,
  atLast: u32,
  atStates: u32,
  atAdjoints: u32,
  atTotals: u32,
  hasInitial: u32, // 1 or 0
  hasLast: u32, // 1 or 0
}

override GIVEN: bool = false;

const DEPTH = 16u;
const LOG2E = 1.44269504088896340736;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let vectors = args.dim * args.states;
  let lane = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  if (lane >= select(2u, 1u, GIVEN) * args.rows * vectors) {
    return;
  }
  let backward = GIVEN || lane >= args.rows * vectors;
  let i = lane % (args.rows * vectors);
  let row = i / vectors;
  let vector = i % vectors;
  let a = LOG2E * workspace[args.atA + vector];
  let base = select(args.atStates, args.atAdjoints, backward) + vector;
  let totals = args.atTotals + 4u * (vector / args.states);
  var carried = 0.0;
  if (backward && args.hasLast != 0u) {
    carried = workspace[args.atLast + i];
  }
  if (!backward && args.hasInitial != 0u) {
    carried = workspace[args.atInitial + i];
  }
  // Loads of DEPTH chunks are under way together; only what is carried goes from one to the next.
  for (var first = 0u; first < args.chunks; first += DEPTH) {
    var own: array<f32, DEPTH>;
    var decays: array<f32, DEPTH>;
    var survived: array<f32, DEPTH>;
    for (var k = 0u; k < DEPTH; k++) {
      let pair = row * args.chunks + chunkOf(first + k, backward);
      own[k] = workspace[base + pair * vectors];
      decays[k] = workspace[totals + 4u * pair * args.dim];
      survived[k] = workspace[totals + 4u * pair * args.dim + 1u];
    }
    for (var k = 0u; k < DEPTH; k++) {
      if (first + k < args.chunks) {
        workspace[base + (row * args.chunks + chunkOf(first + k, backward)) * vectors] = carried;
        carried = select(0.0, exp2(a * decays[k]) * carried, survived[k] != 0.0) + own[k];
      }
    }
  }
}

/// The chunk of a turn; after the last chunk, the last one again.
fn chunkOf(turn: u32, backward: bool) -> u32 {
  let within = min(turn, args.chunks - 1u);
  return select(within, args.chunks - 1u - within, backward);
}
