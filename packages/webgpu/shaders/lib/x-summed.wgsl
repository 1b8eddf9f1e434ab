// x in parts, which each workgroup adds up for itself. Expects the library `cut`, the constant ROW, and the vec4s of x
// from one row of the batch to the next, args.rowStep, and from one part to the next, args.partStep.

/// Sets of ROW lanes, each of which adds up some of the parts: 1, or as many as WORKGROUP holds.
const SETS: u32 = 1u; // constant

var<workgroup> sums: array<vec4f, ROW>;
var<workgroup> sets: array<vec4f, ROW * SETS>;

fn x4(i: u32) -> vec4f {
  return sums[i];
}

/// Fills `sums`. Each set of lanes adds up every SETS-th part; then one lane for each vec4 adds up the sets.
fn gatherX(batch: u32, elements: u32, index: u32) -> u32 {
  let first = batch * args.rowStep;
  if (SETS > 1u) {
    let column = index % ROW;
    if (index < ROW * SETS) {
      sets[index] = sumOfParts(first + column, args.partStep, index / ROW, SETS);
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
      sums[i] = sumOfParts(first + i, args.partStep, 0u, 1u);
    }
  }
  workgroupBarrier();
  return 0u;
}
