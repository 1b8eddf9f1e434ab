// Reductions over a whole workgroup, in workgroup memory; WORKGROUP is a power of two and every lane calls them.
var<workgroup> reduction: array<f32, WORKGROUP>;

fn groupSum(value: f32, index: u32) -> f32 {
  workgroupBarrier();
  reduction[index] = value;
  for (var half = WORKGROUP >> 1u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      reduction[index] += reduction[index + half];
    }
  }
  return workgroupUniformLoad(&reduction[0]);
}

fn groupMax(value: f32, index: u32) -> f32 {
  workgroupBarrier();
  reduction[index] = value;
  for (var half = WORKGROUP >> 1u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      reduction[index] = max(reduction[index], reduction[index + half]);
    }
  }
  return workgroupUniformLoad(&reduction[0]);
}
