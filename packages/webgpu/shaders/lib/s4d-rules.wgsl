// The discretisations of S4D, with z = dt A, q = 1 / (1 - z/2) and φ(z) = (exp(z) - 1) / z, where Bbar = F B:
//
//              Abar          F        E       G
//     zoh      exp(z)        dt φ     Abar    dt² φ'(z)
//     bilinear (1 + z/2) q   dt q     q²      dt² q² / 2
//
// The derivatives of Abar by A and dt are dt E and A E, those of F are G and E. Expects the libraries `math` and
// `complex`.

override BILINEAR: bool = false;

/// An angle less a whole number of quarter turns, in two parts, and that number.
struct Angle {
  quarters: f32,
  high: f32,
  low: f32,
}

/// The angle high + low, reduced by π/2 in three parts. The products with the first two are exact up to 2^12 radians,
/// so a long way around costs no accuracy.
fn reduced(high: f32, low: f32) -> Angle {
  let n = round(high * 0.6366197723675814);
  let once = high - n * 1.5703125;
  let part = n * 4.837512969970703e-4;
  let rest = once - part;
  return Angle(n, rest, ((once - rest) - part) - n * 7.549789948768648e-8 + low);
}

/// Cosine and sine of an angle; NaN where it is beyond 2^12 radians, or NaN itself.
fn turned(angle: Angle) -> vec2f {
  let r = angle.high + angle.low;
  let s = r * r;
  let sine = r + r * s * (-0.16666666666666666 + s * (0.008333333333333333 + s * (-1.984126984126984e-4
    + s * 2.7557319223985893e-6)));
  let cosine = 1.0 + s * (-0.5 + s * (0.041666666666666664 + s * (-0.001388888888888889 + s * (2.48015873015873e-5
    + s * -2.755731922398589e-7))));
  let quarter = i32(clamp(angle.quarters, -4096.0, 4096.0)) & 3;
  let swapped = (quarter & 1) != 0;
  var c = select(cosine, sine, swapped);
  var n = select(sine, cosine, swapped);
  c = select(c, -c, quarter == 1 || quarter == 2);
  n = select(n, -n, quarter >= 2);
  if (!(abs(angle.quarters) <= 2608.0)) {
    let nan = bitcast<f32>(bitcast<u32>(angle.quarters) | 0x7fc00000u);
    return vec2f(nan, nan);
  }
  return vec2f(c, n);
}

/// dt times the imaginary part of A, with what rounding takes from the product.
fn angleOf(dt: f32, im: f32) -> Angle {
  let product = dt * im;
  let dtHigh = bitcast<f32>(bitcast<u32>(dt) & 0xfffff000u);
  let imHigh = bitcast<f32>(bitcast<u32>(im) & 0xfffff000u);
  let dtLow = dt - dtHigh;
  let imLow = im - imHigh;
  return reduced(product, ((dtHigh * imHigh - product) + dtHigh * imLow + dtLow * imHigh) + dtLow * imLow);
}

/// q
fn quotient(z: vec2f) -> vec2f {
  let divisor = vec2f(1.0, 0.0) - 0.5 * z;
  return vec2f(divisor.x, -divisor.y) / dot(divisor, divisor);
}

/// Abar
fn decayOf(dt: f32, A: vec2f) -> vec2f {
  if (BILINEAR) {
    let z = dt * A;
    return times(vec2f(1.0, 0.0) + 0.5 * z, quotient(z));
  }
  return exponential(dt * A.x) * turned(angleOf(dt, A.y));
}

/// Abar^steps and Abar^(steps - 1), for a power of two from 4 on. The powers of zoh are known in closed form: whole
/// quarter turns vanish in four steps, and the rest of the angle is multiplied.
fn powersOf(dt: f32, A: vec2f, steps: u32) -> vec4f {
  if (BILINEAR) {
    var power = decayOf(dt, A);
    var before = vec2f(1.0, 0.0);
    for (var count = steps; count > 1u; count = count >> 1u) {
      before = times(before, power);
      power = times(power, power);
    }
    return vec4f(power, before);
  }
  let angle = angleOf(dt, A.y);
  let count = f32(steps);
  let whole = turned(reduced(count * angle.high, count * angle.low));
  var before = reduced((count - 1.0) * angle.high, (count - 1.0) * angle.low);
  before.quarters -= angle.quarters;
  return vec4f(exponential(dt * A.x * count) * whole, exponential(dt * A.x * (count - 1.0)) * turned(before));
}

/// F
fn inputScaleOf(dt: f32, A: vec2f) -> vec2f {
  let z = dt * A;
  if (BILINEAR) {
    return dt * quotient(z);
  }
  return dt * phi(z, decayOf(dt, A));
}

/// E
fn slopeOf(dt: f32, A: vec2f) -> vec2f {
  if (BILINEAR) {
    let q = quotient(dt * A);
    return times(q, q);
  }
  return decayOf(dt, A);
}

/// G
fn inputScaleByAOf(dt: f32, A: vec2f) -> vec2f {
  let z = dt * A;
  if (BILINEAR) {
    let q = quotient(z);
    return 0.5 * dt * dt * times(q, q);
  }
  // φ' is (exp(z) - φ) / z, and near 0 Σ z^k / (k! (k + 2)).
  let power = decayOf(dt, A);
  let norm = dot(z, z);
  if (norm < 1.0) {
    return dt * dt * series(z, 2.0);
  }
  return dt * dt * conjugateTimes(z, power - phi(z, power)) / norm;
}

/// φ(z), near 0 as Σ z^k / (k! (k + 1)).
fn phi(z: vec2f, power: vec2f) -> vec2f {
  let norm = dot(z, z);
  if (norm < 1.0) {
    return series(z, 1.0);
  }
  return conjugateTimes(z, power - vec2f(1.0, 0.0)) / norm;
}

/// Σ z^k / (k! (k + first)) for |z| below 1.
fn series(z: vec2f, first: f32) -> vec2f {
  var sum = vec2f(0.0);
  var term = vec2f(1.0, 0.0);
  for (var k = 0u; k < 12u; k++) {
    sum += term / (f32(k) + first);
    term = times(term, z) / f32(k + 1u);
  }
  return sum;
}
