// link: ssd-args, ssd-sums
// The gradients of dt, and of A and dtBias in parts, from the sums of a chunk of a head. With S the state before the
// chunk and G the gradient of the state behind it, the gradient of (d A)_t is what passes through the decay of step t:
//
//     passing_t + Σ_(i ≥ t) along_i + Σ_(j < t) behind_j + exp(α_last) <S, G>
//
// A workgroup takes a chunk of a head, a lane a step. Bytes a chunk and state: 8.

@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> states: array<f32>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(3) var<storage, read> adjoints: array<f32>; // [rows, chunks, heads, headDim, state]
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> ddt: array<f32>; // [batch, length, heads]

override RESETS: bool = false;

var<workgroup> along: array<f32, 64>;
var<workgroup> behind: array<f32, 64>;
var<workgroup> reduction: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let chunk = tile_id.x;
  let head = tile_id.y;
  let row = tile_id.z;
  let t = chunk * CHUNK + index;
  let matrix = args.headDim * args.state;
  let ofStates = chunkHead(row, chunk, head) * matrix;
  var overlap = 0.0;
  for (var i = index; i < matrix; i += 64u) {
    overlap += states[ofStates + i] * adjoints[ofStates + i];
  }
  var entered = 0.0;
  var ofAlong = 0.0;
  var ofBehind = 0.0;
  for (var tile = 0u; tile < args.channelTiles; tile++) {
    let place = sumPlace(row, chunk, head, tile) + index;
    ofAlong += sums[args.atAlong + place];
    ofBehind += sums[args.atBehind + place];
    entered += sums[args.atEntered + place];
  }
  along[index] = ofAlong;
  behind[index] = ofBehind;
  let last = stepPlace(row, chunk, head, CHUNK - 1u);
  let passed = exp2(work[last + 1u] + work[last + 2u]) * sumOfLanes(vec2f(overlap, 0.0), index).x;
  var decayed = sums[args.atPassing + chunkHead(row, chunk, head) * CHUNK + index] + passed;
  for (var i = 0u; i < CHUNK; i++) {
    decayed += select(behind[i], along[i], i >= index);
  }
  if (RESETS && t < args.length) {
    if (bitcast<u32>(work[args.atMarks + row * args.length + t]) != 0u) {
      decayed = 0.0;
    }
  }
  let step = stepPlace(row, chunk, head, index);
  var parts = vec2f();
  if (t < args.length) {
    let gradient = (work[head] * decayed + entered) * work[step + 3u];
    ddt[rowPlace(row, t, args.heads) + head] = gradient;
    parts = vec2f(work[step] * decayed, gradient);
  }
  let total = sumOfLanes(parts, index);
  if (index == 0u) {
    sums[args.atSharedA + sharedPlace(row, chunk, head)] = total.x;
    sums[args.atSharedBias + sharedPlace(row, chunk, head)] = total.y;
  }
}

/// The sum over all lanes. Every lane calls it.
fn sumOfLanes(value: vec2f, index: u32) -> vec2f {
  workgroupBarrier();
  reduction[index] = value;
  for (var half = 32u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (index < half) {
      reduction[index] += reduction[index + half];
    }
  }
  workgroupBarrier();
  return reduction[0];
}
