/**
 * y = softmax(scale q kᵀ) v by online softmax (arXiv 2205.14135, algorithm 1), in products of tiles. A task is some
 * panels of sixteen rows of a head of keys. For each block of keys and each panel,
 *
 *     S = keys · queries            `[keys, 16]`, with rows in lanes, so that largest scores and sums need no shuffles
 *     P = 2^(S - m), l += Σ P       in place: P is the panel of the next product as it lies
 *     O = O 2^(m' - m) + values · P `[channels, 16]`
 *
 * and keys and values of a block stay in the first-level cache for all panels. Blocks that no row sees are skipped;
 * only blocks at a border are masked. A task is computed alike by whichever thread takes it.
 *
 * Scratch of a thread: zeros, S, sixteen rows of results, and for each panel its bounds, extent, m, l, factors, queries
 * and O. See src/operations/attention.ts.
 */
import { copy, transposeMatrix } from '../../lib/lanes';
import { log } from '../../lib/log';
import { tileRows } from '../linear-tile';
import {
  AttentionCall, BLOCK, BOUNDS, EXTENT, Extent, keysEnd, LANES, PANEL_HEAD, placeOf, prepareBounds, rowsOf, sees,
  seesAll, seesSome, segmentsOf,
} from './call';
import { blockFloats, paddedChannels } from './pack';
import { addProducts, capFactor, multiplyTiles, panelLane, powerBelow, queryFactor, tanh } from './scores';

const LN2: f32 = 0.6931471805599453;

export function attentionTiles(call: AttentionCall, task: i32, thread: i32): void {
  const rows = rowsOf(call);
  const chunkRows = call.panels * LANES;
  const chunks = (rows + chunkRows - 1) / chunkRows;
  const pair = task / chunks;
  const b = call.firstRow + pair / call.kvHeads;
  const kvHead = pair % call.kvHeads;
  // The last rows see the most keys where the call is causal: they begin first.
  const first = (chunks - 1 - (task - pair * chunks)) * chunkRows;
  const panels = (min(chunkRows, rows - first) + LANES - 1) / LANES;

  const height = tileRows(call.wide);
  const headDim = call.headDim;
  const channels = paddedChannels(headDim, height);
  const zeros = call.scratch + <usize>thread * call.scratchStride;
  const scores = zeros + 64;
  const results = scores + BLOCK * 64;
  const start = results + <usize>LANES * <usize>headDim * 4;
  const panelBytes = PANEL_HEAD + (<usize>(headDim + channels) << 6);
  memory.fill(zeros, 0, 64);
  for (let index = 0; index < panels; index++)
    beginPanel(call, b, kvHead, first + index * LANES, rows, start + <usize>index * panelBytes, channels);

  const blocks = (call.keys + BLOCK - 1) / BLOCK;
  const keyFloats = <usize>blockFloats(headDim, true, height);
  const valueFloats = <usize>blockFloats(headDim, false, height);
  const end = keysEnd(call, b);
  const base = <usize>pair * <usize>blocks;
  for (let key = 0, block: usize = 0; key < end; key += BLOCK, block++) {
    const keys = call.keyTiles + (((base + block) * keyFloats) << 2);
    const values = call.valueChannels + (((base + block) * valueFloats) << 2);
    const last = min(key + BLOCK, end) - 1;
    for (let index = 0; index < panels; index++) {
      const panel = start + <usize>index * panelBytes;
      if (seesSome(changetype<Extent>(panel + BOUNDS), key, last))
        addBlock(call, b, panel, key, last, keys, values, height, channels, zeros, scores);
    }
  }
  for (let index = 0; index < panels; index++)
    endPanel(call, b, kvHead, first + index * LANES, start + <usize>index * panelBytes, results);
}

function beginPanel(
  call: AttentionCall, b: i32, kvHead: i32, first: i32, rows: i32, panel: usize, channels: i32,
): void {
  const headDim = call.headDim;
  const extent = changetype<Extent>(panel + BOUNDS);
  prepareBounds(call, b, first, rows, panel, extent);
  const stats = panel + BOUNDS + EXTENT;
  for (let lane: usize = 0; lane < 64; lane += 16) {
    v128.store(stats + lane, f32x4.splat(-Infinity));
    v128.store(stats + 64 + lane, f32x4.splat(0));
  }
  const queries = panel + PANEL_HEAD;
  const factor = queryFactor(call.scale, call.softcap);
  memory.fill(queries, 0, <usize>(headDim + channels) << 6);
  for (let lane = 0; lane < extent.rows; lane++) {
    const place = placeOf(call, b, kvHead, first + lane);
    panelLane(call.q + ((place * <usize>headDim) << 2), headDim, factor, queries + (<usize>lane << 2));
  }
}

/** Adds a block of keys to the sums of a panel. */
function addBlock(
  call: AttentionCall, b: i32, panel: usize, key: i32, last: i32, keys: usize, values: usize, height: i32,
  channels: i32, zeros: usize, scores: usize,
): void {
  const extent = changetype<Extent>(panel + BOUNDS);
  const all = seesAll(call, extent, key, last);
  const count = min(last, max(extent.mostEnd, extent.mostGlobal)) - key + 1;
  const queries = panel + PANEL_HEAD;
  const sums = queries + (<usize>call.headDim << 6);
  multiplyTiles(call.wide, height, keys, count, queries, call.headDim, zeros, scores);
  if (call.softcap != 0) capScores(scores, count, call.softcap);
  if (!all) maskScores(scores, count, panel, key, segmentsOf(call, b));
  const stats = panel + BOUNDS + EXTENT;
  let moved = false;
  for (let lane: usize = 0; lane < 64; lane += 32) if (weigh(scores + lane, count, stats + lane)) moved = true;
  if (moved) rescale(sums, call.headDim, stats + 128);
  addProducts(call.wide, height, values, (<usize>BLOCK * <usize>height) << 2, channels, scores, count, sums);
}

function capScores(scores: usize, count: i32, softcap: f32): void {
  const factor = capFactor(softcap);
  for (const end = scores + (<usize>count << 6); scores < end; scores += 16)
    v128.store(scores, f32x4.mul(tanh(v128.load(scores)), factor));
}

/** Makes -∞ of the scores of keys that a row does not see. */
function maskScores(scores: usize, count: i32, bounds: usize, key: i32, segments: usize): void {
  const none = f32x4.splat(-Infinity);
  for (let index = 0; index < count; index++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const value = v128.load(scores + lane);
      v128.store(scores + lane, v128.bitselect(value, none, sees(bounds + lane, key + index, segments)));
    }
    scores += 64;
  }
}

/**
 * Makes weights of the scores of eight rows, and brings their largest score, their sum and the factor of what was
 * summed before up to date. Returns whether that factor is not 1. Both vectors of a key are computed before either is
 * stored, so that V8 can join them.
 */
function weigh(scores: usize, count: i32, stats: usize): bool {
  const end = scores + (<usize>count << 6);
  const before0 = v128.load(stats);
  const before1 = v128.load(stats, 16);
  let most0 = before0;
  let most1 = before1;
  for (let at = scores; at < end; at += 64) {
    most0 = f32x4.max(most0, v128.load(at));
    most1 = f32x4.max(most1, v128.load(at, 16));
  }
  const shift0 = finite(most0);
  const shift1 = finite(most1);
  let total0 = f32x4.splat(0);
  let total1 = total0;
  for (let at = scores; at < end; at += 64) {
    const weight0 = powerBelow(f32x4.sub(v128.load(at), shift0));
    const weight1 = powerBelow(f32x4.sub(v128.load(at, 16), shift1));
    total0 = f32x4.add(total0, weight0);
    total1 = f32x4.add(total1, weight1);
    v128.store(at, weight0);
    v128.store(at, weight1, 16);
  }
  const factor0 = powerBelow(f32x4.sub(before0, shift0));
  const factor1 = powerBelow(f32x4.sub(before1, shift1));
  v128.store(stats, most0);
  v128.store(stats, most1, 16);
  v128.store(stats, f32x4.add(f32x4.mul(v128.load(stats, 64), factor0), total0), 64);
  v128.store(stats, f32x4.add(f32x4.mul(v128.load(stats, 80), factor1), total1), 80);
  v128.store(stats, factor0, 128);
  v128.store(stats, factor1, 144);
  const one = f32x4.splat(1);
  return v128.any_true(v128.or(f32x4.ne(factor0, one), f32x4.ne(factor1, one)));
}

/** x, and 0 in place of -∞, which stands for no score at all. @inline */
function finite(x: v128): v128 {
  return v128.andnot(x, f32x4.eq(x, f32x4.splat(-Infinity)));
}

function rescale(sums: usize, headDim: i32, factors: usize): void {
  const f0 = v128.load(factors);
  const f1 = v128.load(factors, 16);
  const f2 = v128.load(factors, 32);
  const f3 = v128.load(factors, 48);
  for (const end = sums + (<usize>headDim << 6); sums < end; sums += 64) {
    v128.store(sums, f32x4.mul(v128.load(sums), f0));
    v128.store(sums, f32x4.mul(v128.load(sums, 16), f1), 16);
    v128.store(sums, f32x4.mul(v128.load(sums, 32), f2), 32);
    v128.store(sums, f32x4.mul(v128.load(sums, 48), f3), 48);
  }
}

/** Divides the sums of a panel by l, and writes them, and log Σ exp, to the results. */
function endPanel(call: AttentionCall, b: i32, kvHead: i32, first: i32, panel: usize, results: usize): void {
  const headDim = call.headDim;
  const stats = panel + BOUNDS + EXTENT;
  for (let lane: usize = 0; lane < 64; lane += 16) finishStats(stats + lane);
  const sums = panel + PANEL_HEAD + (<usize>headDim << 6);
  rescale(sums, headDim, stats + 128);
  transposeMatrix(sums, 64, headDim, LANES, results, <usize>headDim << 2);
  const rows = changetype<Extent>(panel + BOUNDS).rows;
  for (let lane = 0; lane < rows; lane++) {
    const place = placeOf(call, b, kvHead, first + lane);
    const bytes = <usize>headDim << 2;
    copy(call.y + place * bytes, results + <usize>lane * bytes, bytes);
    store<f32>(call.logSumExp + (place << 2), load<f32>(stats + (<usize>lane << 2)));
  }
}

/** Makes log Σ exp of m, and 1 / l of the factor; -∞ and 0 for a row that saw nothing. */
function finishStats(stats: usize): void {
  const total = v128.load(stats + 64);
  const none = f32x4.eq(total, f32x4.splat(0));
  v128.store(stats, logSumExps(v128.load(stats), total));
  v128.store(stats + 128, v128.andnot(f32x4.div(f32x4.splat(1), total), none));
}

/** log Σ exp of four rows, from their largest score in powers of two and their sum, which is 0 or 1 at least. */
function logSumExps(most: v128, total: v128): v128 {
  const value = f32x4.add(f32x4.mul(most, f32x4.splat(LN2)), log(total));
  return v128.bitselect(f32x4.splat(-Infinity), value, f32x4.eq(total, f32x4.splat(0)));
}

/** The same for one row. */
export function logSumExp(most: f32, total: f32): f32 {
  return f32x4.extract_lane(logSumExps(f32x4.splat(most), f32x4.splat(total)), 0);
}
