// Vectors of the system and of states, which lie in two planes. Expects the libraries `complex` and `s4d-planes`.

fn planesOf(quad: u32, plane: u32, channel: u32) -> Four {
  let at = (quad * PLANES + plane) * args.dim + channel;
  return Four(system[at], system[at + args.dim]);
}

/// The place of the states that a chunk begins with, `[batch, chunks, kinds, quads, 2, dim]`: kind 0 is the states, 1
/// and 2 their derivatives by Bbar and Abar.
fn placeOf(row: u32, chunk: u32, kinds: u32, kind: u32, quad: u32, channel: u32) -> u32 {
  return ((((row * args.chunks + chunk) * kinds + kind) * args.quads + quad) * 2u) * args.dim + channel;
}

fn statesAt(at: u32) -> Four {
  return Four(states[at], states[at + args.dim]);
}
