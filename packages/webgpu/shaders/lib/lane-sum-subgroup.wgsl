enable subgroups;
// Sums over LANES consecutive lanes (a power of two, at most the adapter's smallest subgroup) by shuffles.
fn laneSum(value: vec2f, index: u32) -> vec2f {
  var sum = value;
  for (var distance = LANES >> 1u; distance > 0u; distance = distance >> 1u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  return sum;
}
