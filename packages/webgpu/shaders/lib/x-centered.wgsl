// link: reduce, row-quads, moments
// x after a LayerNorm, as few rows of x in `x: array<vec4f>` meet a product. Each workgroup reads its row for the
// moments first, which takes less than a dispatch where there are few workgroups. Expects the norm's weights in `norm`,
// its biases there from args.biasAt on, and rows of whole vec4s.

var<private> begin: u32;
var<private> moments: Moments;

fn x4(i: u32) -> vec4f {
  let column = i - begin;
  return standardised(x[i], moments, args.zero) * norm[column] + norm[args.biasAt + column];
}

/// Makes a row of x ready that begins at element `base`. Every lane of the workgroup calls it before the first x4.
fn prepareX(base: u32, index: u32) {
  begin = base / 4u;
  moments = momentsOf(base / 4u, args.inputs / 4u, args.eps, args.zero, index);
}

fn pieceAt(i: u32) -> vec4f {
  return x[i];
}

fn firstAt(base: u32, index: u32) -> f32 {
  return x[base].x;
}
