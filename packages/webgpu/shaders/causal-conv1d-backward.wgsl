// link: math, slopes
// The gradients of a depthwise causal convolution. reference's operations/causal-conv1d-backward.ts has the equations.
//
// A lane owns a span of consecutive inputs of one channel; neighbouring lanes have neighbouring channels. It goes
// through the outputs that read these inputs, TAPS - 1 more than they are, with a window of inputs and one of
// unfinished gradients in registers. The gradients of weight and bias are sums over the outputs that lie in its span,
// which it leaves in the workspace; column-sum.wgsl adds up spans and rows in a fixed order.
//
// Bytes an element: 8 (span + 2 TAPS) / span read, 4 written, and 4 (TAPS + 1) / span for what is left. Operations:
// 6 TAPS, and some 20 for the SiLU.

struct Args {
  batch: u32,
  length: u32,
  dim: u32,
  span: u32,
  spans: u32, // a row
  // Places in the workspace.
  atWeight: u32, // [dim, TAPS]
  atBias: u32, // [dim]
  atInitial: u32, // [batch, dim, TAPS - 1], newest last
  atLast: u32, // the cotangent of the last state, in the same shape
  atMarks: u32, // [batch, length], bits
  atTaps: u32, // [batch, spans, dim, TAPS]: a span's part of dweight
  atOffsets: u32, // [batch, spans, dim]: its part of dbias
  atFirst: u32, // the gradient of the initial state, [batch, dim, TAPS - 1]
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [batch, length, dim]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [batch, length, dim]
@group(0) @binding(3) var<storage, read_write> workspace: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // [batch, length, dim]

const TAPS: u32 = 4u; // constant
override SILU: bool = true;
override BIAS: bool = true;
override INITIAL: bool = false;
override LAST: bool = false;
override RESETS: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  // There is one turn where the grid is as long as the sequence. A longer sequence is covered in strides.
  for (var span = tile_id.y; span < args.spans; span += tiles_count.y) {
    differentiate(tile_id.z, channel, span);
  }
}

fn differentiate(batch: u32, channel: u32, span: u32) {
  let before = i32(TAPS) - 1;
  let first = i32(span * args.span);
  let length = i32(args.length);
  let end = min(first + i32(args.span), length);
  let rows = i32(batch * args.length);
  let ofRow = (batch * args.dim + channel) * (TAPS - 1u);
  var taps: array<f32, TAPS>;
  for (var k = 0u; k < TAPS; k++) {
    taps[k] = workspace[args.atWeight + channel * TAPS + k];
  }
  let offset = select(0.0, workspace[args.atBias + channel], BIAS);
  var inputs: array<f32, TAPS>; // of the output at t: x from t - (TAPS - 1) to t
  var gradients: array<f32, TAPS>; // of the same inputs, as far as the outputs up to t make them
  var sums: array<f32, TAPS>;
  var ofBias = 0.0;
  // Steps since the last reset, t's own included, as far as the window needs it.
  var alive = TAPS;
  // The window is filled by the inputs before the span. After the span come the outputs that read its last inputs, and
  // after the sequence nothing but the last state, which holds its last inputs.
  for (var t = first - before; t < end + before; t++) {
    for (var k = 0u; k + 1u < TAPS; k++) {
      inputs[k] = inputs[k + 1u];
      gradients[k] = gradients[k + 1u];
    }
    gradients[TAPS - 1u] = 0.0;
    let inside = t >= 0 && t < length;
    let at = u32(rows + clamp(t, 0, length - 1));
    alive = min(alive + 1u, TAPS);
    if (RESETS && inside && bitcast<u32>(workspace[args.atMarks + at]) != 0u) {
      alive = 1u;
      for (var k = 0u; k + 1u < TAPS; k++) {
        inputs[k] = 0.0;
      }
    }
    inputs[TAPS - 1u] = select(0.0, x[at * args.dim + channel], inside);
    if (INITIAL && t < 0) {
      inputs[TAPS - 1u] = workspace[args.atInitial + ofRow + u32(t + before)];
    }
    if (t >= first && t < length) {
      var ds = dy[at * args.dim + channel];
      if (SILU) {
        var sum = offset;
        for (var k = 0u; k < TAPS; k++) {
          sum += taps[k] * inputs[k];
        }
        ds *= siluAndSlope(sum).y;
      }
      for (var k = 0u; k < TAPS; k++) {
        // Inputs before a reset are no inputs of this output.
        if (k + alive >= TAPS) {
          gradients[k] += ds * taps[k];
        }
        if (t < end) {
          sums[k] += ds * inputs[k];
        }
      }
      if (t < end) {
        ofBias += ds;
      }
    }
    // The gradient of the input at t - (TAPS - 1) is complete, but for the cotangent of the last state, which holds the
    // last TAPS - 1 inputs as far as they come after the last reset.
    let origin = t - before;
    var gradient = gradients[0];
    if (LAST && t >= length && alive == TAPS) {
      gradient += workspace[args.atLast + ofRow + u32(t - length)];
    }
    if (origin >= first) {
      dx[u32(rows + origin) * args.dim + channel] = gradient;
    } else if (INITIAL && origin >= first - before && span == 0u && t >= 0) {
      workspace[args.atFirst + ofRow + u32(origin + before)] = gradient;
    }
  }
  let part = (batch * args.spans + span) * args.dim + channel;
  for (var k = 0u; k < TAPS; k++) {
    workspace[args.atTaps + part * TAPS + k] = sums[k];
  }
  workspace[args.atOffsets + part] = ofBias;
}
