// Sums over the LANES lanes of a channel, without subgroups. Every lane writes its part of each step to workgroup
// memory, and after a barrier one lane adds up each output: one store and one load for each lane and step. The rotation
// keeps lanes in different banks.
var<workgroup> parts: array<f32, PARTS>;

fn collect(step: u32, index: u32, value: f32) {
  parts[step * WORKGROUP + index] = value;
}

fn collected(step: u32, slot: u32) -> f32 {
  let base = step * WORKGROUP + slot * LANES;
  var sum = 0.0;
  for (var j = 0u; j < LANES; j++) {
    sum += parts[base + ((j + slot) & (LANES - 1u))];
  }
  return sum;
}
