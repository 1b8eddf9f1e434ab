enable subgroups;
// A channel is a quad: lanes of a subgroup are consecutive in a workgroup of one dimension.
const LANES: u32 = 4u;
const VECS_PER_LANE: u32 = 1u; // vec4s of states a lane

/// Each lane's value, known to all lanes of the channel.
fn spread(value: f32, lane: u32) -> array<f32, 4> {
  return array<f32, 4>(
    quadBroadcast(value, 0u),
    quadBroadcast(value, 1u),
    quadBroadcast(value, 2u),
    quadBroadcast(value, 3u),
  );
}

/// The sum over a channel's lanes of each one's n-th value, at lane n. In two rounds lanes hand over the half that is
/// not theirs.
fn collect(values: array<f32, 4>, lane: u32) -> f32 {
  let odd = (lane & 1u) != 0u;
  let high = (lane & 2u) != 0u;
  let low = select(values[0], values[1], odd) + quadSwapX(select(values[1], values[0], odd));
  let top = select(values[2], values[3], odd) + quadSwapX(select(values[3], values[2], odd));
  return select(low, top, high) + quadSwapY(select(top, low, high));
}
