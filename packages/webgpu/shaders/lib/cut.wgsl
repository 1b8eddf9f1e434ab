// Sums over the parts of a product whose inputs are cut, with several loads under way at once. Expects the alias Value,
// f32 or vec4f, and `x: array<Value>`, which holds args.parts parts.

const PARTS_AT_ONCE = 8u;

/// The sum over every step-th part from `begin` on of the value that is x[at] in the first part and lies `stride`
/// values further in each next one.
fn sumOfParts(at: u32, stride: u32, begin: u32, step: u32) -> Value {
  var sum = Value();
  for (var part = begin; part < args.parts; part += step * PARTS_AT_ONCE) {
    var loaded: array<Value, PARTS_AT_ONCE>;
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      loaded[k] = x[at + min(part + k * step, args.parts - 1u) * stride];
    }
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      sum += select(Value(), loaded[k], part + k * step < args.parts);
    }
  }
  return sum;
}
