/**
 * A few queries against many keys, as a step has them. A task is a part of PART keys with all of their heads, so that
 * keys and values are each one stream from memory; parts depend on nothing but the shape, and `attentionCombine` adds
 * them up in their order, whoever computed them. Rows are here the queries of all heads, `[queries, heads]`, and lie in
 * lanes:
 *
 *     S = keys · queries    `[PART, rows]`, four rows at a time
 *     P = 2^(S - m), Σ P    in place
 *     O = P values          `[rows, headDim]`, two keys at a time
 *
 * Scratch of a thread: bounds and extent of sixteen rows, scaled queries with whole vectors of channels, O likewise,
 * and S with whole vectors of rows. See src/operations/attention.ts.
 */
import { copy, loadPart, storePart, sums } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import {
  AttentionCall, Bound, BOUNDS, EXTENT, Extent, keysEnd, PART, prepareBounds, rowsOf, segmentsOf, seesAll,
  seesSome,
} from './call';
import { logSumExp } from './forward';
import { capFactor, powerBelow, queryFactor, tanh } from './scores';

export function attentionFew(call: AttentionCall, task: i32, thread: i32): void {
  const b = task / call.parts;
  const part = task - b * call.parts;
  const headDim = call.headDim;
  const rows = call.queries * call.heads;
  const lanes = (rows + 3) & ~3;
  const padded = <usize>((headDim + 3) & ~3) << 2;
  const bounds = call.scratch + <usize>thread * call.scratchStride;
  const extent = changetype<Extent>(bounds + BOUNDS);
  const queries = bounds + BOUNDS + EXTENT;
  const results = queries + <usize>lanes * padded;
  const scores = results + <usize>rows * padded;
  // The rows of each head of keys see the same keys.
  prepareBounds(call, b, 0, rowsOf(call), bounds, extent);
  const key = part * PART;
  const end = min(min(key + PART, keysEnd(call, b)), max(extent.mostEnd, extent.mostGlobal) + 1);
  const total = <usize>call.batch * <usize>rows;
  const place = <usize>part * total + <usize>b * <usize>rows;
  if (end <= key || !seesSome(extent, key, end - 1)) {
    for (let row = 0; row < rows; row++) storeStats(call, place + <usize>row, -Infinity, 0);
    return;
  }
  const count = end - key;
  const factor = queryFactor(call.scale, call.softcap);
  const q = call.q + ((<usize>b * <usize>rows * <usize>headDim) << 2);
  for (let row = 0; row < lanes; row++) {
    // Lanes behind the last row repeat it.
    const own = <usize>min(row, rows - 1) * <usize>headDim;
    scaleRow(q + (own << 2), headDim, factor, queries + <usize>row * padded);
  }
  const stride = (<usize>call.kvHeads * <usize>headDim) << 2;
  const first = (<usize>b * <usize>call.keys + <usize>key) * stride;
  products(call, queries, padded, call.k + first, stride, count, rows, lanes, scores);
  if (call.softcap != 0) capScores(scores, count * lanes, call.softcap);
  if (!seesAll(call, extent, key, end - 1)) maskScores(call, b, scores, count, rows, lanes, key, bounds);
  for (let row = 0; row < rows; row += 4)
    weigh(call, scores + (<usize>row << 2), count, lanes, place + <usize>row, rows - row);
  memory.fill(results, 0, <usize>rows * padded);
  addValues(call, call.v + first, stride, count, scores, rows, lanes, results, padded);
  for (let row = 0; row < rows; row++) {
    const bytes = <usize>headDim << 2;
    copy(call.partials + (place + <usize>row) * bytes, results + <usize>row * padded, bytes);
  }
}

function storeStats(call: AttentionCall, place: usize, most: f32, weight: f32): void {
  store<f32>(call.stats + (place << 3), most);
  store<f32>(call.stats + (place << 3), weight, 4);
}

function scaleRow(from: usize, headDim: i32, factor: f32, to: usize): void {
  const factors = f32x4.splat(factor);
  for (let c = 0; c < headDim; c += 4) {
    v128.store(to, f32x4.mul(loadPart(from, headDim - c), factors));
    from += 16;
    to += 16;
  }
}

/** The bytes from a key's first head to the one that a row reads. @inline */
function headOffset(call: AttentionCall, row: i32): usize {
  const head = row % call.heads / (call.heads / call.kvHeads);
  return (<usize>head * <usize>call.headDim) << 2;
}

/** The products of `count` keys with all rows, key by key. */
function products(
  call: AttentionCall, queries: usize, padded: usize, k: usize, stride: usize, count: i32, rows: i32, lanes: i32,
  to: usize,
): void {
  const headDim = call.headDim;
  for (let row = 0; row < lanes; row += 4) {
    const offset0 = headOffset(call, min(row, rows - 1));
    const offset1 = headOffset(call, min(row + 1, rows - 1));
    const offset2 = headOffset(call, min(row + 2, rows - 1));
    const offset3 = headOffset(call, min(row + 3, rows - 1));
    let key = k;
    let score = to + (<usize>row << 2);
    for (let index = 0; index < count; index++) {
      v128.store(
        score,
        fourProducts(
          queries + <usize>row * padded, padded, key + offset0, key + offset1, key + offset2, key + offset3, headDim,
        ),
      );
      key += stride;
      score += <usize>lanes << 2;
    }
  }
}

/** @inline */
function fourProducts(
  x: usize, padded: usize, k0: usize, k1: usize, k2: usize, k3: usize, headDim: i32,
): v128 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let channel: usize = 0;
  const whole = <usize>(headDim & ~3) << 2;
  for (; channel < whole; channel += 16) {
    const from = x + channel;
    a = madd(v128.load(from), v128.load(k0 + channel), a);
    b = madd(v128.load(from + padded), v128.load(k1 + channel), b);
    c = madd(v128.load(from + 2 * padded), v128.load(k2 + channel), c);
    d = madd(v128.load(from + 3 * padded), v128.load(k3 + channel), d);
  }
  const rest = headDim & 3;
  if (rest != 0) {
    const from = x + channel;
    a = madd(v128.load(from), loadPart(k0 + channel, rest), a);
    b = madd(v128.load(from + padded), loadPart(k1 + channel, rest), b);
    c = madd(v128.load(from + 2 * padded), loadPart(k2 + channel, rest), c);
    d = madd(v128.load(from + 3 * padded), loadPart(k3 + channel, rest), d);
  }
  return sums(a, b, c, d);
}

function capScores(scores: usize, count: i32, softcap: f32): void {
  const factor = capFactor(softcap);
  for (const end = scores + (<usize>count << 2); scores < end; scores += 16)
    v128.store(scores, f32x4.mul(tanh(v128.load(scores)), factor));
}

/** Makes -∞ of the scores of keys that a row does not see. */
function maskScores(
  call: AttentionCall, b: i32, scores: usize, count: i32, rows: i32, lanes: i32, key: i32, bounds: usize,
): void {
  const group = call.heads / call.kvHeads;
  const segments = segmentsOf(call, b);
  for (let row = 0; row < rows; row++) {
    const own = bounds + (<usize>(row / call.heads * group) << 2);
    const begin = load<i32>(own, Bound.BEGIN);
    const end = load<i32>(own, Bound.END);
    const first = load<i32>(own, Bound.FIRST);
    const globalEnd = load<i32>(own, Bound.GLOBAL_END);
    const segment = load<i32>(own, Bound.SEGMENT);
    for (let index = 0; index < count; index++) {
      const j = key + index;
      let seen = (j >= begin && j <= end) || (j >= first && j <= globalEnd);
      if (segments != 0) seen = seen && load<i32>(segments + (<usize>j << 2)) == segment;
      if (!seen) store<f32>(scores + (<usize>(index * lanes + row) << 2), -Infinity);
    }
  }
}

/** Makes weights of the scores of four rows, and stores their largest scores and their sums. */
function weigh(call: AttentionCall, scores: usize, count: i32, lanes: i32, place: usize, rows: i32): void {
  const stride = <usize>lanes << 2;
  const end = scores + <usize>count * stride;
  let most = f32x4.splat(-Infinity);
  for (let at = scores; at < end; at += stride) most = f32x4.max(most, v128.load(at));
  const shift = v128.andnot(most, f32x4.eq(most, f32x4.splat(-Infinity)));
  let total = f32x4.splat(0);
  for (let at = scores; at < end; at += stride) {
    const weight = powerBelow(f32x4.sub(v128.load(at), shift));
    v128.store(at, weight);
    total = f32x4.add(total, weight);
  }
  storeStats(call, place, f32x4.extract_lane(most, 0), f32x4.extract_lane(total, 0));
  if (rows > 1) storeStats(call, place + 1, f32x4.extract_lane(most, 1), f32x4.extract_lane(total, 1));
  if (rows > 2) storeStats(call, place + 2, f32x4.extract_lane(most, 2), f32x4.extract_lane(total, 2));
  if (rows > 3) storeStats(call, place + 3, f32x4.extract_lane(most, 3), f32x4.extract_lane(total, 3));
}

/** Adds values times weights to the sums of all rows, two keys at a time. */
function addValues(
  call: AttentionCall, v: usize, stride: usize, count: i32, weights: usize, rows: i32, lanes: i32, sums: usize,
  padded: usize,
): void {
  const headDim = call.headDim;
  const next = <usize>lanes << 2;
  let index = 0;
  for (; index + 2 <= count; index += 2) {
    for (let row = 0; row < rows; row++) {
      const weight = weights + (<usize>row << 2);
      const value = v + headOffset(call, row);
      const first = v128.load32_splat(weight);
      const second = v128.load32_splat(weight + next);
      addTwo(value, value + stride, first, second, headDim, sums + <usize>row * padded);
    }
    v += 2 * stride;
    weights += 2 * next;
  }
  if (index == count) return;
  for (let row = 0; row < rows; row++) {
    const value = v + headOffset(call, row);
    const weight = v128.load32_splat(weights + (<usize>row << 2));
    addOne(value, weight, headDim, sums + <usize>row * padded);
  }
}

/** @inline */
function addTwo(v0: usize, v1: usize, weight0: v128, weight1: v128, headDim: i32, sums: usize): void {
  const whole = <usize>(headDim & ~3) << 2;
  let channel: usize = 0;
  for (; channel < whole; channel += 16) {
    const sum = madd(weight0, v128.load(v0 + channel), v128.load(sums + channel));
    v128.store(sums + channel, madd(weight1, v128.load(v1 + channel), sum));
  }
  const rest = headDim & 3;
  if (rest == 0) return;
  const sum = madd(weight0, loadPart(v0 + channel, rest), v128.load(sums + channel));
  v128.store(sums + channel, madd(weight1, loadPart(v1 + channel, rest), sum));
}

function addOne(v: usize, weight: v128, headDim: i32, sums: usize): void {
  for (let channel = 0; channel < headDim; channel += 4) {
    const offset = <usize>channel << 2;
    const value = loadPart(v + offset, headDim - channel);
    v128.store(sums + offset, madd(weight, value, v128.load(sums + offset)));
  }
}

/** Adds up the parts of a row, in order. A task is a row of `[batch, queries, heads]`. */
export function attentionCombine(call: AttentionCall, task: i32): void {
  const headDim = call.headDim;
  const place = <usize>task;
  const total = <usize>call.batch * <usize>call.queries * <usize>call.heads;
  let most: f32 = -Infinity;
  for (let part = 0; part < call.parts; part++) {
    const value = load<f32>(call.stats + ((<usize>part * total + place) << 3));
    // A NaN must not get lost in a comparison.
    if (!(value <= most)) most = value;
  }
  const y = call.y + ((place * <usize>headDim) << 2);
  const shift = f32x4.splat(most == -Infinity ? 0 : most);
  let weight: f32 = 0;
  memory.fill(y, 0, <usize>headDim << 2);
  for (let part = 0; part < call.parts; part++) {
    const at = <usize>part * total + place;
    const factor = powerBelow(f32x4.sub(f32x4.splat(load<f32>(call.stats + (at << 3))), shift));
    const scale = f32x4.extract_lane(factor, 0);
    // A part that the row sees nothing of has no sums.
    if (scale == 0) continue;
    weight += scale * load<f32>(call.stats + (at << 3), 4);
    const from = call.partials + ((at * <usize>headDim) << 2);
    for (let c = 0; c < headDim; c += 4) {
      const offset = <usize>c << 2;
      const rest = headDim - c;
      storePart(y + offset, madd(factor, loadPart(from + offset, rest), loadPart(y + offset, rest)), rest);
    }
  }
  const inverse = f32x4.splat(weight == 0 ? 0 : 1 / weight);
  for (let c = 0; c < headDim; c += 4) {
    const offset = <usize>c << 2;
    const rest = headDim - c;
    storePart(y + offset, f32x4.mul(loadPart(y + offset, rest), inverse), rest);
  }
  store<f32>(call.logSumExp + (place << 2), logSumExp(most, weight));
}
