// x as the products of dot-row.wgsl meet q8 and q4, brought to workgroup memory first, times the norm's weights. A
// unit meets 16 or 32 values of x, and as many weights of the norm, so that neighbouring lanes would load from lines
// apart, for every output again. Here the c-th four of all units lie side by side.

const STAGED: u32 = 192u; // constant: vec4s, of whole units

var<workgroup> staged: array<vec4f, STAGED>;
var<workgroup> squares: array<f32, WORKGROUP>;

/// Each row's sums, as dotRows gives them. All lanes of the workgroup call it at once, with the same row of x.
fn rowSums(row: u32, base: u32, lane: u32, index: u32) -> array<vec2f, TOGETHER> {
  // The first weights are under way while x comes.
  let words = wordsOf(0u, row, lane);
  stageX(base, index);
  var sums = dotRowsFrom(words, row, base, lane);
  if (SQUARES) {
    // The lanes of an output cover all parts of Σ x².
    for (var i = lane; i < WORKGROUP; i += LANES) {
      for (var r = 0u; r < TOGETHER; r++) { // unroll
        sums[r].y += squares[i];
      }
    }
  }
  return sums;
}

/// Brings a row of x.
fn stageX(base: u32, index: u32) {
  let quads = unit() / 4u;
  var sum = 0.0;
  for (var i = index; i < STAGED; i += WORKGROUP) {
    var value = vec4f();
    if (4u * i < args.inputs) {
      value = input4(base, 4u * i, args.inputs);
      if (SQUARES) {
        sum += dot(value, value);
      }
      if (NORM) {
        value *= normWeight(4u * i);
      }
    }
    staged[i % quads * (STAGED / quads) + i / quads] = value;
  }
  squares[index] = sum;
  workgroupBarrier();
}

/// The product of four columns of q8 or q4, the c-th of the j-th unit.
fn quadProduct(base: u32, j: u32, c: u32, w: vec4f) -> vec2f {
  return vec2f(dot(staged[c * units() + j], w), 0.0);
}
