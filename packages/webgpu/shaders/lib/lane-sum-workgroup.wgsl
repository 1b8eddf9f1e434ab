// Sums over LANES consecutive lanes (a power of two) through workgroup memory. Every lane of the workgroup calls it.
var<workgroup> laneParts: array<vec2f, WORKGROUP>;

fn laneSum(value: vec2f, index: u32) -> vec2f {
  workgroupBarrier();
  laneParts[index] = value;
  workgroupBarrier();
  let first = index - index % LANES;
  var sum = vec2f();
  for (var i = 0u; i < LANES; i++) {
    sum += laneParts[first + i];
  }
  return sum;
}
