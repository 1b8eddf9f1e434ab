enable subgroups;
// A channel is two neighbouring lanes, which are in one quad: lanes of a subgroup are consecutive in a workgroup of one
// dimension.
const LANES: u32 = 2u;
const VECS_PER_LANE: u32 = 2u; // vec4s of states a lane

/// Each lane's value, known to all lanes of the channel.
fn spread(value: f32, lane: u32) -> array<f32, 2> {
  let other = quadSwapX(value);
  let odd = lane == 1u;
  return array<f32, 2>(select(value, other, odd), select(other, value, odd));
}

/// The sum over a channel's lanes of each one's n-th value, at lane n. A lane hands the value that is not its own to
/// the other.
fn collect(values: array<f32, 2>, lane: u32) -> f32 {
  let odd = lane == 1u;
  return select(values[0], values[1], odd) + quadSwapX(select(values[1], values[0], odd));
}
