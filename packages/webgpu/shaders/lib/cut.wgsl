// Sums over the parts of a product whose inputs are cut, with several loads under way at once. Expects
// `x: array<vec4f>`, which holds args.parts of them.

const PARTS_AT_ONCE = 8u;

/// The sum over every step-th part from `begin` on of the vec4 that is x[at] in the first part and lies `stride` vec4s
/// further in each next one.
fn sumOfParts(at: u32, stride: u32, begin: u32, step: u32) -> vec4f {
  var sum = vec4f();
  for (var part = begin; part < args.parts; part += step * PARTS_AT_ONCE) {
    var loaded: array<vec4f, PARTS_AT_ONCE>;
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      loaded[k] = x[at + min(part + k * step, args.parts - 1u) * stride];
    }
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      sum += select(vec4f(), loaded[k], part + k * step < args.parts);
    }
  }
  return sum;
}
