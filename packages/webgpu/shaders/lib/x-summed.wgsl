// x in parts, which each workgroup adds up for itself. Expects `x: array<vec4f>`, [batch, args.parts, ROW], and the
// constant ROW.

/// Sets of ROW lanes, each of which adds up some of the parts: 1, or as many as WORKGROUP holds.
const SETS: u32 = 1u; // constant
const PARTS_AT_ONCE = 8u;

var<workgroup> sums: array<vec4f, ROW>;
var<workgroup> sets: array<vec4f, ROW * SETS>;

fn x4(i: u32) -> vec4f {
  return sums[i];
}

/// Fills `sums`. Each set of lanes adds up every SETS-th part, with several loads under way at once; then one lane for
/// each vec4 adds up the sets.
fn gatherX(batch: u32, elements: u32, index: u32) -> u32 {
  let first = batch * args.parts;
  if (SETS > 1u) {
    let column = index % ROW;
    if (index < ROW * SETS) {
      sets[index] = sumOfParts(first, index / ROW, SETS, column);
    }
    workgroupBarrier();
    if (index < ROW) {
      var all = vec4f();
      for (var s = 0u; s < SETS; s++) { // unroll
        all += sets[s * ROW + index];
      }
      sums[index] = all;
    }
  } else {
    for (var i = index; i < ROW; i += WORKGROUP) {
      sums[i] = sumOfParts(first, 0u, 1u, i);
    }
  }
  workgroupBarrier();
  return 0u;
}

/// The sum of one column over every step-th part from `begin` on.
fn sumOfParts(first: u32, begin: u32, step: u32, column: u32) -> vec4f {
  var sum = vec4f();
  for (var part = begin; part < args.parts; part += step * PARTS_AT_ONCE) {
    var loaded: array<vec4f, PARTS_AT_ONCE>;
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      loaded[k] = x[(first + min(part + k * step, args.parts - 1u)) * ROW + column];
    }
    for (var k = 0u; k < PARTS_AT_ONCE; k++) {
      sum += select(vec4f(), loaded[k], part + k * step < args.parts);
    }
  }
  return sum;
}
