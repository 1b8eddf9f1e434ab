/**
 * The gradients of attention (arXiv 2307.08691, section 3.1.2), with weights made again of logSumExp. Three commands,
 * after those that pack:
 *
 * - rows: Δ = dy · y - dLogSumExp, and logSumExp in powers of two, of each row;
 * - queries: a task is some panels of rows, which walk over the keys: dq;
 * - keys: a task is a panel of keys, which walks over the rows: dk and dv.
 *
 * Scores are computed twice, in return for sums that one task alone adds up, in one order. In both walks the panel's
 * sixteen rows, or keys, are lanes, and blocks of the other side are tiles:
 *
 *     S = tiles · panel     dP = tiles' · panel'     P = 2^(S - logSumExp)     dS = P (dP - Δ) (1 - tanh²)
 *     dq += keys · dS       dk += queries · dS       dv += dy · P
 *
 * Scratch of a thread: zeros, two blocks of products, sixteen rows of results, bounds, and the panels with their sums.
 */
import { copy, loadPart, transposeMatrix } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { tileRows } from '../linear-tile';
import {
  AttentionCall, BLOCK, Bound, BOUNDS, EXTENT, Extent, keysEnd, LANES, placeOf, prepareBounds, rowsOf, sees, seesAll,
  seesSome, segmentsOf,
} from './call';
import { blockFloats, paddedChannels } from './pack';
import { addProducts, capFactor, multiplyTiles, panelLane, powerBelow, queryFactor, tanh } from './scores';

@unmanaged
export class AttentionBackwardCall extends AttentionCall {
  dy: usize;
  dLogSumExp: usize;
  /** Pairs of logSumExp times log2 e and Δ, of all rows `[batch, queries, heads]`. */
  rows: usize;
  dq: usize;
  dk: usize;
  dv: usize;
  valueTiles: usize;
  keyChannels: usize;
  queryTiles: usize;
  queryChannels: usize;
  dyTiles: usize;
  dyChannels: usize;
}

const LOG2_E: f32 = 1.4426950408889634;

/** A task is sixteen rows of all heads. */
export function attentionRows(call: AttentionBackwardCall, task: i32): void {
  const headDim = call.headDim;
  const total = <usize>call.batch * <usize>call.queries * <usize>call.heads;
  const end = min<usize>((<usize>task + 1) * LANES, total);
  for (let place = <usize>task * LANES; place < end; place++) {
    const at = (place * <usize>headDim) << 2;
    let delta = dot(call.dy + at, call.y + at, headDim);
    if (call.dLogSumExp != 0) delta -= load<f32>(call.dLogSumExp + (place << 2));
    store<f32>(call.rows + (place << 3), load<f32>(call.logSumExp + (place << 2)) * LOG2_E);
    store<f32>(call.rows + (place << 3), delta, 4);
  }
}

/**
 * The sum in the order of a tile's products, so that dy · v - Δ is exactly 0 where y is v, as it is where one key is
 * seen.
 */
function dot(a: usize, b: usize, count: i32): f32 {
  let total = f32x4.splat(0);
  for (let index = 0; index < count; index++) {
    const offset = <usize>index << 2;
    total = madd(v128.load32_splat(a + offset), v128.load32_splat(b + offset), total);
  }
  return f32x4.extract_lane(total, 0);
}

export function attentionQueries(call: AttentionBackwardCall, task: i32, thread: i32): void {
  const rows = rowsOf(call);
  const panels = (rows + LANES - 1) / LANES;
  const pair = task / panels;
  const b = call.firstRow + pair / call.kvHeads;
  const kvHead = pair % call.kvHeads;
  const first = (panels - 1 - (task - pair * panels)) * LANES;
  const height = tileRows(call.wide);
  const headDim = call.headDim;
  const channels = paddedChannels(headDim, height);
  const zeros = call.scratch + <usize>thread * call.scratchStride;
  const scores = zeros + 64;
  const products = scores + BLOCK * 64;
  const results = products + BLOCK * 64;
  const bounds = results + <usize>LANES * <usize>headDim * 4;
  const extent = changetype<Extent>(bounds + BOUNDS);
  const stats = bounds + BOUNDS + EXTENT;
  const queries = stats + 128;
  const dys = queries + (<usize>headDim << 6);
  const sums = dys + (<usize>headDim << 6);
  memory.fill(zeros, 0, 64);
  memory.fill(stats, 0, 128 + (<usize>(2 * headDim + channels) << 6));
  prepareBounds(call, b, first, rows, bounds, extent);
  const factor = queryFactor(call.scale, call.softcap);
  for (let lane = 0; lane < extent.rows; lane++) {
    const place = placeOf(call, b, kvHead, first + lane);
    const offset = <usize>lane << 2;
    panelLane(call.q + ((place * <usize>headDim) << 2), headDim, factor, queries + offset);
    panelLane(call.dy + ((place * <usize>headDim) << 2), headDim, 1, dys + offset);
    store<f32>(stats + offset, load<f32>(call.rows + (place << 3)));
    store<f32>(stats + offset, load<f32>(call.rows + (place << 3), 4), 64);
  }

  const blocks = (call.keys + BLOCK - 1) / BLOCK;
  const tileBytes = <usize>blockFloats(headDim, true, height) << 2;
  const channelBytes = <usize>blockFloats(headDim, false, height) << 2;
  const end = keysEnd(call, b);
  let at = <usize>pair * <usize>blocks;
  for (let key = 0; key < end; key += BLOCK, at++) {
    const last = min(key + BLOCK, end) - 1;
    if (!seesSome(extent, key, last)) continue;
    const all = seesAll(call, extent, key, last);
    const count = min(last, max(extent.mostEnd, extent.mostGlobal)) - key + 1;
    multiplyTiles(call.wide, height, call.keyTiles + at * tileBytes, count, queries, headDim, zeros, scores);
    multiplyTiles(call.wide, height, call.valueTiles + at * tileBytes, count, dys, headDim, zeros, products);
    differentiateBlock(scores, products, count, stats, call.softcap);
    if (!all) hideKeys(scores, products, count, bounds, key, segmentsOf(call, b));
    addProducts(
      call.wide, height, call.keyChannels + at * channelBytes, (<usize>BLOCK * <usize>height) << 2, channels, products,
      count, sums,
    );
  }
  const scale = f32x4.splat(call.scale);
  for (let c = 0; c < headDim << 2; c++) {
    const to = sums + (<usize>c << 4);
    v128.store(to, f32x4.mul(v128.load(to), scale));
  }
  transposeMatrix(sums, 64, headDim, LANES, results, <usize>headDim << 2);
  for (let lane = 0; lane < extent.rows; lane++) {
    const bytes = <usize>headDim << 2;
    copy(call.dq + placeOf(call, b, kvHead, first + lane) * bytes, results + <usize>lane * bytes, bytes);
  }
}

/** Makes weights P of the scores of a block of keys, and dS of its dP; `stats` are the sixteen rows' shifts and Δ. */
function differentiateBlock(scores: usize, products: usize, count: i32, stats: usize, softcap: f32): void {
  if (softcap != 0) {
    for (let at: usize = 0; at < <usize>count << 6; at += 16) {
      const own = stats + (at & 63);
      differentiateCapped(scores + at, products + at, v128.load(own), v128.load(own, 64), softcap);
    }
    return;
  }
  for (let lane: usize = 0; lane < 64; lane += 32) {
    const shift0 = v128.load(stats + lane);
    const shift1 = v128.load(stats + lane, 16);
    const delta0 = v128.load(stats + lane, 64);
    const delta1 = v128.load(stats + lane, 80);
    for (let at = lane; at < <usize>count << 6; at += 64)
      differentiate(scores + at, products + at, shift0, shift1, delta0, delta1);
  }
}

/** The same of a row, against sixteen keys. */
function differentiateRow(score: usize, product: usize, shift: v128, delta: v128, softcap: f32): void {
  if (softcap != 0) {
    for (let lane: usize = 0; lane < 64; lane += 16)
      differentiateCapped(score + lane, product + lane, shift, delta, softcap);
    return;
  }
  differentiate(score, product, shift, shift, delta, delta);
  differentiate(score + 32, product + 32, shift, shift, delta, delta);
}

/**
 * Makes P of eight scores and dS of their dP. Both vectors are computed before either is stored, so that V8 can join
 * them. It must not find such pairs in the functions below: it fails where it joins comparisons, for one.
 * @inline
 */
function differentiate(
  score: usize, product: usize, shift0: v128, shift1: v128, delta0: v128, delta1: v128,
): void {
  const weight0 = powerBelow(f32x4.sub(v128.load(score), shift0));
  const weight1 = powerBelow(f32x4.sub(v128.load(score, 16), shift1));
  const change0 = f32x4.mul(weight0, f32x4.sub(v128.load(product), delta0));
  const change1 = f32x4.mul(weight1, f32x4.sub(v128.load(product, 16), delta1));
  v128.store(score, weight0);
  v128.store(score, weight1, 16);
  v128.store(product, change0);
  v128.store(product, change1, 16);
}

function differentiateCapped(score: usize, product: usize, shift: v128, delta: v128, softcap: f32): void {
  const t = tanh(v128.load(score));
  const slope = f32x4.sub(f32x4.splat(1), f32x4.mul(t, t));
  const weight = powerBelow(f32x4.sub(f32x4.mul(t, capFactor(softcap)), shift));
  v128.store(score, weight);
  v128.store(product, f32x4.mul(f32x4.mul(weight, f32x4.sub(v128.load(product), delta)), slope));
}

/** Makes 0 of what sixteen rows do not see of a block of keys. */
function hideKeys(scores: usize, products: usize, count: i32, bounds: usize, key: i32, segments: usize): void {
  for (let index = 0; index < count; index++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      hide(scores + lane, products + lane, sees(bounds + lane, key + index, segments));
    }
    scores += 64;
    products += 64;
  }
}

/** Makes 0 of what is not seen. A row that sees nothing has logSumExp -∞, and so no weight that means anything. */
function hide(score: usize, product: usize, seen: v128): void {
  v128.store(score, v128.and(v128.load(score), seen));
  v128.store(product, v128.and(v128.load(product), seen));
}

export function attentionKeys(call: AttentionBackwardCall, task: i32, thread: i32): void {
  const rows = rowsOf(call);
  const panels = (call.keys + LANES - 1) / LANES;
  const pair = task / panels;
  const b = call.firstRow + pair / call.kvHeads;
  const kvHead = pair % call.kvHeads;
  const first = (task - pair * panels) * LANES;
  const own = min(LANES, call.keys - first);
  const height = tileRows(call.wide);
  const headDim = call.headDim;
  const channels = paddedChannels(headDim, height);
  const zeros = call.scratch + <usize>thread * call.scratchStride;
  const scores = zeros + 64;
  const products = scores + BLOCK * 64;
  const results = products + BLOCK * 64;
  const bounds = results + <usize>LANES * <usize>headDim * 4;
  const extent = changetype<Extent>(bounds + BOUNDS);
  const keys = bounds + BOUNDS + EXTENT;
  const values = keys + (<usize>headDim << 6);
  const dKeys = values + (<usize>headDim << 6);
  const dValues = dKeys + (<usize>channels << 6);
  memory.fill(zeros, 0, 64);
  memory.fill(keys, 0, <usize>(2 * headDim + 2 * channels) << 6);
  const stride = (<usize>call.kvHeads * <usize>headDim) << 2;
  const place = (<usize>b * <usize>call.keys + <usize>first) * stride + ((<usize>kvHead * <usize>headDim) << 2);
  const end = keysEnd(call, b);
  for (let lane = 0; lane < min(own, end - first); lane++) {
    const from = place + <usize>lane * stride;
    panelLane(call.k + from, headDim, 1, keys + (<usize>lane << 2));
    panelLane(call.v + from, headDim, 1, values + (<usize>lane << 2));
  }

  const blocks = (rows + BLOCK - 1) / BLOCK;
  const tileBytes = <usize>blockFloats(headDim, true, height) << 2;
  const channelBytes = <usize>blockFloats(headDim, false, height) << 2;
  for (let block = 0; block < blocks; block++) {
    const row = block * BLOCK;
    const count = min(BLOCK, rows - row);
    const seen = visible(call, b, row, count, rows, first, min(first + own, end) - 1, bounds, extent);
    if (seen == Visible.NONE) continue;
    const at = <usize>pair * <usize>blocks + <usize>block;
    multiplyTiles(call.wide, height, call.queryTiles + at * tileBytes, count, keys, headDim, zeros, scores);
    multiplyTiles(call.wide, height, call.dyTiles + at * tileBytes, count, values, headDim, zeros, products);
    for (let index = 0; index < count; index++) {
      if (seen == Visible.SOME && index % LANES == 0)
        prepareBounds(call, b, row + index, rows, bounds, extent);
      const stats = call.rows + (placeOf(call, b, kvHead, row + index) << 3);
      const shift = v128.load32_splat(stats);
      const delta = v128.load32_splat(stats, 4);
      const at = <usize>index << 6;
      differentiateRow(scores + at, products + at, shift, delta, call.softcap);
      if (seen == Visible.ALL) continue;
      const own = bounds + (<usize>(index % LANES) << 2);
      for (let lane: usize = 0; lane < 64; lane += 16)
        hide(scores + at + lane, products + at + lane, seesKeys(call, b, own, first + <i32>(lane >> 2)));
    }
    const apart = (<usize>BLOCK * <usize>height) << 2;
    addProducts(call.wide, height, call.queryChannels + at * channelBytes, apart, channels, products, count, dKeys);
    addProducts(call.wide, height, call.dyChannels + at * channelBytes, apart, channels, scores, count, dValues);
  }
  writeKeys(dKeys, headDim, results, call.dk + place, stride, own);
  writeKeys(dValues, headDim, results, call.dv + place, stride, own);
}

function writeKeys(sums: usize, headDim: i32, results: usize, to: usize, stride: usize, count: i32): void {
  transposeMatrix(sums, 64, headDim, LANES, results, <usize>headDim << 2);
  for (let lane = 0; lane < count; lane++) {
    copy(to + <usize>lane * stride, results + ((<usize>lane * <usize>headDim) << 2), <usize>headDim << 2);
  }
}

const enum Visible {
  NONE,
  SOME,
  ALL,
}

/** Whether the rows of a block see the keys from `first` to `last`. It overwrites the bounds. */
function visible(
  call: AttentionCall, b: i32, row: i32, count: i32, rows: i32, first: i32, last: i32, bounds: usize, extent: Extent,
): Visible {
  let some = false;
  let all = true;
  for (let index = 0; index < count; index += LANES) {
    prepareBounds(call, b, row + index, rows, bounds, extent);
    if (seesSome(extent, first, last)) some = true;
    // All sixteen lanes are computed, so keys that do not exist must be masked.
    if (last - first != LANES - 1 || !seesAll(call, extent, first, last)) all = false;
  }
  return all ? Visible.ALL : some ? Visible.SOME : Visible.NONE;
}

/** Ones where a row sees four keys from `key` on. */
function seesKeys(call: AttentionCall, b: i32, bounds: usize, key: i32): v128 {
  const j = i32x4.add(i32x4.splat(key), i32x4(0, 1, 2, 3));
  const near = v128.and(
    i32x4.ge_s(j, v128.load32_splat(bounds, Bound.BEGIN)),
    i32x4.le_s(j, v128.load32_splat(bounds, Bound.END)),
  );
  const global = v128.and(
    i32x4.ge_s(j, v128.load32_splat(bounds, Bound.FIRST)),
    i32x4.le_s(j, v128.load32_splat(bounds, Bound.GLOBAL_END)),
  );
  const seen = v128.or(near, global);
  if (call.segments == 0) return seen;
  const own = loadPart(segmentsOf(call, b) + (<usize>key << 2), max(1, min(4, call.keys - key)));
  return v128.and(seen, i32x4.eq(own, v128.load32_splat(bounds, Bound.SEGMENT)));
}
