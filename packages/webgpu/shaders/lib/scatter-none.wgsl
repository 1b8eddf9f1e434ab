// Without subgroups nothing is added up before workgroup memory.
fn scatter(values: array<f32, VALUES>, index: u32) -> array<f32, VALUES> {
  return values;
}
