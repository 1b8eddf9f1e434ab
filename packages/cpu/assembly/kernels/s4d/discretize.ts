/**
 * The discretisations of a complex state in float64, where Bbar / B is F. With z = dt A, q = 1 / (1 - z/2) and
 * φ(z) = (exp(z) - 1) / z:
 *
 *              Abar          F        E       G
 *     zoh      exp(z)        dt φ     Abar    dt² φ'(z)
 *     bilinear (1 + z/2) q   dt q     q²      dt² q² / 2
 *
 * The derivatives of Abar by A and dt are dt E and A E, those of F are G and E.
 */
import { storeCosineAndSine, wideExp } from '../../lib/wide';

/** Places of complex numbers in a record, in bytes: the real part, and the imaginary one behind it. */
export const enum Place {
  DECAY = 0,
  INPUT_SCALE = 16,
  SLOPE = 32,
  INPUT_SCALE_BY_A = 48,
}
/** Bytes of a record. */
export const S4D_DISCRETE: usize = 64; // host

/** Below this, φ is a series: the quotients cancel. */
const SMALL: f64 = 0.01;

/** Writes a record. */
export function discretize(bilinear: bool, dt: f64, re: f64, im: f64, to: usize): void {
  const x = dt * re;
  const y = dt * im;
  if (bilinear) bilinearStep(dt, x, y, to);
  else zohStep(dt, x, y, to);
}

function bilinearStep(dt: f64, x: f64, y: f64, to: usize): void {
  const divisor = 1 - x / 2;
  const norm = divisor * divisor + (y * y) / 4;
  const re = divisor / norm;
  const im = y / 2 / norm;
  const factor = 1 + x / 2;
  const squareRe = re * re - im * im;
  const squareIm = 2 * re * im;
  put(to + Place.DECAY, factor * re - (y / 2) * im, factor * im + (y / 2) * re);
  put(to + Place.INPUT_SCALE, dt * re, dt * im);
  put(to + Place.SLOPE, squareRe, squareIm);
  put(to + Place.INPUT_SCALE_BY_A, (dt * dt * squareRe) / 2, (dt * dt * squareIm) / 2);
}

function zohStep(dt: f64, x: f64, y: f64, to: usize): void {
  storeCosineAndSine(y, to);
  const size = wideExp(x);
  const re = size * load<f64>(to);
  const im = size * load<f64>(to, 8);
  put(to + Place.DECAY, re, im);
  put(to + Place.SLOPE, re, im);
  const norm = x * x + y * y;
  if (norm < SMALL * SMALL) {
    series(dt, x, y, to);
    return;
  }
  // (Abar - 1) / z, and (Abar (z - 1) + 1) / z², which is (Abar - φ) / z.
  const inverse = 1 / norm;
  const phiRe = ((re - 1) * x + im * y) * inverse;
  const phiIm = (im * x - (re - 1) * y) * inverse;
  put(to + Place.INPUT_SCALE, dt * phiRe, dt * phiIm);
  const slopeRe = ((re - phiRe) * x + (im - phiIm) * y) * inverse;
  const slopeIm = ((im - phiIm) * x - (re - phiRe) * y) * inverse;
  put(to + Place.INPUT_SCALE_BY_A, dt * dt * slopeRe, dt * dt * slopeIm);
}

/** φ as Σ z^k / (k! (k + 1)), and its derivative as Σ z^k / (k! (k + 2)). */
function series(dt: f64, x: f64, y: f64, to: usize): void {
  let termRe: f64 = 1;
  let termIm: f64 = 0;
  let phiRe: f64 = 0;
  let phiIm: f64 = 0;
  let slopeRe: f64 = 0;
  let slopeIm: f64 = 0;
  for (let k = 0; k < 7; k++) {
    phiRe += termRe / <f64>(k + 1);
    phiIm += termIm / <f64>(k + 1);
    slopeRe += termRe / <f64>(k + 2);
    slopeIm += termIm / <f64>(k + 2);
    const re = (termRe * x - termIm * y) / <f64>(k + 1);
    termIm = (termRe * y + termIm * x) / <f64>(k + 1);
    termRe = re;
  }
  put(to + Place.INPUT_SCALE, dt * phiRe, dt * phiIm);
  put(to + Place.INPUT_SCALE_BY_A, dt * dt * slopeRe, dt * dt * slopeIm);
}

/** @inline */
function put(to: usize, re: f64, im: f64): void {
  store<f64>(to, re);
  store<f64>(to, im, 8);
}
