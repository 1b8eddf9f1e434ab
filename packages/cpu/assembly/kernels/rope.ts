/**
 * Rotary positions: a task is some tokens. The angle of a pair is formed in turns of 2^64 parts, modulo one turn, so
 * that it is exact at any position; sine and cosine are polynomials on an eighth of a turn. They are made once a token
 * and serve all of its heads.
 *
 * Scratch of a thread: the cosines, then the sines of a token's pairs, padded to whole vectors.
 */
import { Flag } from '../program/call';
import { copy, loadPart, storePart } from '../lib/lanes';

@unmanaged
export class RopeCall {
  x: usize;
  y: usize;
  /** 0 means that positions count from `offset`. */
  positions: usize;
  offset: i32;
  /** Two words a pair: its turns at a position, in parts of 2^64, the high word first. */
  turns: usize;
  pairs: i32;
  interleaved: Flag;
  /** 1, or -1 to turn back. */
  sign: f32;
  length: i32;
  heads: i32;
  headDim: i32;
  tokens: i32;
  taskTokens: i32;
  scratch: usize;
  scratchStride: usize;
}

export function rope(call: RopeCall, task: i32, thread: i32): void {
  const cosines = call.scratch + <usize>thread * call.scratchStride;
  const sines = sinesOf(cosines, call.pairs);
  const bytes = (<usize>call.heads * <usize>call.headDim) << 2;
  const end = min((task + 1) * call.taskTokens, call.tokens);
  for (let token = task * call.taskTokens; token < end; token++) {
    const position = call.positions == 0
      ? call.offset + token % call.length
      : load<i32>(call.positions + (<usize>token << 2));
    angles(call.turns, call.pairs, call.sign, position, cosines, sines);
    const at = <usize>token * bytes;
    turnHeads(call.x + at, call.y + at, call.heads, call.headDim, call.pairs, call.interleaved, cosines, sines);
  }
}

/** The place of the sines in a thread's scratch, behind the cosines. @inline */
export function sinesOf(cosines: usize, pairs: i32): usize {
  return cosines + (<usize>((pairs + 3) & ~3) << 2);
}

/** Turns all heads of a token, from x to y, which may be x. */
export function turnHeads(
  x: usize, y: usize, heads: i32, headDim: i32, pairs: i32, interleaved: Flag, cosines: usize, sines: usize,
): void {
  const bytes = <usize>headDim << 2;
  const turned = <usize>pairs << 3;
  for (let head = 0; head < heads; head++) {
    if (interleaved) turnNeighbours(x, y, pairs, cosines, sines);
    else turnHalves(x, y, pairs, cosines, sines);
    if (turned < bytes && x != y) copy(y + turned, x + turned, bytes - turned);
    x += bytes;
    y += bytes;
  }
}

/** Cosines, and sines times `sign`, of the angles of a position. */
export function angles(turns: usize, pairs: i32, sign: f32, position: i32, cosines: usize, sines: usize): void {
  for (let pair = 0; pair < pairs; pair++) {
    const place = turns + (<usize>pair << 3);
    const turn = (<u64>load<u32>(place) << 32) | <u64>load<u32>(place, 4);
    // The product modulo 2^64 is the fraction of a turn. The nearest quarter goes to the top two bits.
    const phase = <u64>(<i64>position) * turn + 0x2000000000000000;
    const quarter = <u32>(phase >> 62);
    const rest = <f64>(<i64>((phase & 0x3fffffffffffffff) - 0x2000000000000000));
    // From -1/8 to 1/8 of a turn, in radians.
    const a = rest * (6.283185307179586 / 18446744073709551616.0);
    const sine = sineOf(a);
    const cosine = cosineOf(a);
    const swapped = (quarter & 1) != 0;
    const c: f64 = swapped ? sine : cosine;
    const s: f64 = swapped ? cosine : sine;
    store<f32>(cosines + (<usize>pair << 2), <f32>(quarter == 1 || quarter == 2 ? -c : c));
    store<f32>(sines + (<usize>pair << 2), sign * <f32>(quarter >= 2 ? -s : s));
  }
}

/** sin(a) for |a| ≤ π/4, by its series, which ends at 2e-14. */
function sineOf(a: f64): f64 {
  const q = a * a;
  return a + a * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880 - q / 39916800))));
}

/** cos(a) for |a| ≤ π/4, by its series, which ends at 1e-12. */
function cosineOf(a: f64): f64 {
  const q = a * a;
  return 1 + q * (-0.5 + q * (1.0 / 24 + q * (-1.0 / 720 + q * (1.0 / 40320 - q / 3628800))));
}

/** Turns the pairs (i, i + pairs). */
function turnHalves(x: usize, y: usize, pairs: i32, cosines: usize, sines: usize): void {
  const apart = <usize>pairs << 2;
  for (let pair = 0; pair < pairs; pair += 4) {
    const rest = pairs - pair;
    const offset = <usize>pair << 2;
    const c = v128.load(cosines + offset);
    const s = v128.load(sines + offset);
    const u = loadPart(x + offset, rest);
    const w = loadPart(x + apart + offset, rest);
    storePart(y + offset, f32x4.sub(f32x4.mul(u, c), f32x4.mul(w, s)), rest);
    storePart(y + apart + offset, f32x4.add(f32x4.mul(u, s), f32x4.mul(w, c)), rest);
  }
}

/** Turns the pairs (2i, 2i + 1). */
function turnNeighbours(x: usize, y: usize, pairs: i32, cosines: usize, sines: usize): void {
  for (let pair = 0; pair < pairs; pair++) {
    const c = load<f32>(cosines + (<usize>pair << 2));
    const s = load<f32>(sines + (<usize>pair << 2));
    const at = <usize>pair << 3;
    const u = load<f32>(x + at);
    const w = load<f32>(x + at, 4);
    store<f32>(y + at, u * c - w * s);
    store<f32>(y + at, u * s + w * c, 4);
  }
}
