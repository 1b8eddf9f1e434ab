enable subgroups;
// Sums over the LANES lanes of a channel by log2(LANES) shuffles. LANES is at most the adapter's smallest subgroup, and
// lanes of a subgroup are consecutive in a workgroup of one dimension.
var<workgroup> parts: array<f32, PARTS>;

fn collect(step: u32, index: u32, value: f32) {
  var sum = value;
  for (var distance = LANES >> 1u; distance > 0u; distance = distance >> 1u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  if ((index & (LANES - 1u)) == 0u) {
    parts[step * (WORKGROUP / LANES) + index / LANES] = sum;
  }
}

fn collected(step: u32, slot: u32) -> f32 {
  return parts[step * (WORKGROUP / LANES) + slot];
}
