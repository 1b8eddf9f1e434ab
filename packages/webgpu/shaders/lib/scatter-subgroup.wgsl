enable subgroups;
// Sums over the channels of a subgroup that leave each lane a part of the results. In round r a lane and the one that
// is LANES · 2^r away each hand over the half of their values that the other keeps. The values halve in every round, so
// all rounds together exchange fewer values than a lane had.

/// Adds up over 2^ROUNDS channels. The first LEFT results are this lane's; what they are depends on its channel.
fn scatter(given: array<f32, VALUES>, index: u32) -> array<f32, VALUES> {
  var values = given;
  for (var r = 0u; r < ROUNDS; r++) { // unroll
    let upper = (index & (LANES << r)) != 0u;
    for (var i = 0u; i < HALF; i++) { // unroll
      if (i < VALUES >> (r + 1u)) {
        let low = values[i];
        let high = values[i + (VALUES >> (r + 1u))];
        values[i] = select(low, high, upper) + subgroupShuffleXor(select(high, low, upper), LANES << r);
      }
    }
  }
  return values;
}
