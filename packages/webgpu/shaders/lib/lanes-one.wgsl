// A channel is one lane, which holds all its states.
const LANES: u32 = 1u;
const VECS_PER_LANE: u32 = 4u; // vec4s of states a lane

/// Each lane's value, known to all lanes of the channel.
fn spread(value: f32, lane: u32) -> array<f32, 1> {
  return array<f32, 1>(value);
}

/// The sum over a channel's lanes of each one's n-th value, at lane n.
fn collect(values: array<f32, 1>, lane: u32) -> f32 {
  return values[0];
}
