// The moments of a row, for LayerNorm. Expects `reduce`, one of `row-…`, `pieceAt(i: u32) -> Piece`, and
// `firstAt(base: u32, index: u32) -> f32`, the first element of the row that begins at piece `base`, which is the same
// for all lanes.
//
// Differences are taken from `center`, a float32 near the mean: the first element plus the mean of the differences from
// it. So they keep their digits where the mean is far larger than they are, and are 0 where a whole row is equal. The
// distance of `center` from the mean is small; it is subtracted from the differences afterwards, and its square from
// their mean square.

struct Moments {
  power: f32, // multiplies the row first
  center: f32,
  rest: f32, // from center to the mean
  factor: f32, // 1 / sqrt(variance + eps)
}

/// The moments of a row of `pieces` pieces. `zero` is 0, which only the host knows.
fn momentsOf(base: u32, pieces: u32, eps: f32, zero: u32, index: u32) -> Moments {
  var power = 1.0;
  var root = sqrt(eps);
  var moments = scaledMoments(base, pieces, index, power, zero);
  var spread = moments.z + eps;
  // Where the squares overflowed, or vanished beside an eps that is small as well (their sum is below 2^-96), the row
  // is computed again, scaled by a power of two that brings its largest element to 1 … 2. That is slow and rare. The
  // test looks at bits, since an implementation may assume that floats are finite.
  if (bitcast<u32>(spread) - 0x0f800000u >= 0x70000000u) {
    let exponent = max(largestExponent(base, pieces, index), bitcast<u32>(root) >> 23u);
    power = bitcast<f32>(clamp(254u - exponent, 1u, 253u) << 23u);
    moments = scaledMoments(base, pieces, index, power, zero);
    // An implementation may multiply in any order, and power² alone may overflow: this root is at most 2.
    root *= power;
    spread = moments.z + root * root;
    // The row is not finite, or the result is 0 / 0.
    if (exponent >= 255u || spread == 0.0) {
      spread = bitcast<f32>(0x7fc00000u | zero);
    }
  }
  return Moments(power, moments.x, moments.y, inverseSqrt(spread));
}

/// A piece of the row with mean 0 and variance 1.
fn standardised(piece: Piece, moments: Moments, zero: u32) -> Piece {
  return (kept(piece * moments.power - moments.center, zero) - moments.rest) * moments.factor;
}

/// Returns, for a row times `power`, `center`, the distance from it to the mean, and the variance.
fn scaledMoments(base: u32, pieces: u32, index: u32, power: f32, zero: u32) -> vec3f {
  // The detour through bits keeps the device from subtracting before it multiplies, which could overflow.
  let first = bitcast<f32>(bitcast<u32>(firstAt(base, index) * power) | zero);
  var sum = Piece();
  for (var i = index; i < pieces; i += WORKGROUP) {
    sum += pieceAt(base + i) * power - first;
  }
  let count = f32(pieces * PIECE);
  let center = first + groupSum(sumOf(sum), index) / count;
  sum = Piece();
  var squares = Piece();
  for (var i = index; i < pieces; i += WORKGROUP) {
    let difference = pieceAt(base + i) * power - center;
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
    largest = max(largest, exponentOf(pieceAt(base + i)));
  }
  return u32(groupMax(f32(largest), index));
}
