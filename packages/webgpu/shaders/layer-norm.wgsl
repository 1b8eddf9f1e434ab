// link: reduce, row-{singles,quads}
// y = (x - mean) / sqrt(mean((x - mean)²) + eps) · weight + bias. A workgroup takes a row and reads it three times, the
// second and third time from cache. Bytes an element: 4 read, 4 written. Operations: 11.
//
// Differences are taken from `center`, a float32 near the mean: the first element plus the mean of the differences from
// it. So they keep their digits where the mean is far larger than they are, and are 0 where a whole row is equal. The
// distance of `center` from the mean is small; it is subtracted from the differences afterwards, and its square from
// their mean square.

struct Args {
  rows: u32,
  channels: u32,
  xRow: u32,
  xOffset: u32,
  eps: f32,
  zero: u32, // keeps differences from being merged
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<Piece>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<Piece>; // [channels]
@group(0) @binding(3) var<storage, read> bias: array<Piece>; // [channels]
@group(0) @binding(4) var<storage, read_write> y: array<Piece>; // [rows, channels]

override WORKGROUP: u32 = 128u;
override WEIGHT: bool = true;
override BIAS: bool = true;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.rows) {
    return;
  }
  let base = (args.xOffset + row * args.xRow) / PIECE;
  let pieces = args.channels / PIECE;
  var power = 1.0;
  var root = sqrt(args.eps);
  var moments = momentsOf(base, pieces, index, power);
  var spread = moments.z + args.eps;
  // Where the squares overflowed, or vanished beside an eps that is small as well (their sum is below 2^-96), the row
  // is computed again, scaled by a power of two that brings its largest element to 1 … 2. That is slow and rare. The
  // test looks at bits, since an implementation may assume that floats are finite.
  if (bitcast<u32>(spread) - 0x0f800000u >= 0x70000000u) {
    let exponent = max(largestExponent(base, pieces, index), bitcast<u32>(root) >> 23u);
    power = bitcast<f32>(clamp(254u - exponent, 1u, 253u) << 23u);
    moments = momentsOf(base, pieces, index, power);
    // An implementation may multiply in any order, and power² alone may overflow: this root is at most 2.
    root *= power;
    spread = moments.z + root * root;
    // The row is not finite, or the result is 0 / 0.
    if (exponent >= 255u || spread == 0.0) {
      spread = bitcast<f32>(0x7fc00000u | args.zero);
    }
  }
  let factor = inverseSqrt(spread);
  for (var i = index; i < pieces; i += WORKGROUP) {
    var value = (kept(x[base + i] * power - moments.x, args.zero) - moments.y) * factor;
    if (WEIGHT) {
      value *= weight[i];
    }
    if (BIAS) {
      value += bias[i];
    }
    y[row * pieces + i] = value;
  }
}

/// Returns, for a row times `power`, `center`, the distance from it to the mean, and the variance.
fn momentsOf(base: u32, pieces: u32, index: u32, power: f32) -> vec3f {
  // The detour through bits keeps the device from subtracting before it multiplies, which could overflow.
  let first = bitcast<f32>(bitcast<u32>(firstOf(x[base]) * power) | args.zero);
  var sum = Piece();
  for (var i = index; i < pieces; i += WORKGROUP) {
    sum += x[base + i] * power - first;
  }
  let count = f32(args.channels);
  let center = first + groupSum(sumOf(sum), index) / count;
  sum = Piece();
  var squares = Piece();
  for (var i = index; i < pieces; i += WORKGROUP) {
    let difference = x[base + i] * power - center;
    sum += difference;
    squares += difference * difference;
  }
  let rest = groupSum(sumOf(sum), index) / count;
  let square = groupSum(sumOf(squares), index) / count;
  // abs keeps NaN, which max might not.
  return vec3f(center, rest, abs(square - rest * rest));
}

/// The largest exponent of a row, as bits.
fn largestExponent(base: u32, pieces: u32, index: u32) -> u32 {
  var largest = 0u;
  for (var i = index; i < pieces; i += WORKGROUP) {
    largest = max(largest, exponentOf(x[base + i]));
  }
  return u32(groupMax(f32(largest), index));
}
