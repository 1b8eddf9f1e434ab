// Sums over the LANES lanes of a channel, without subgroups: every lane leaves its part of each step in workgroup
// memory, and after a barrier each output is added up by one lane. One store and one load a lane and step; the rotation
// keeps banks apart.
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
