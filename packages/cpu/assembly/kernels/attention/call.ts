/**
 * The calls of attention, and what its kernels share: which tile of which heads a task computes, and which keys a query
 * sees.
 *
 * The rows of a head of keys are the queries of all heads that share it, so that each key is read once for all of them:
 * row r is query r / group of head r % group.
 */
import { Flag } from '../../program/call';

/** Keys of a block, or rows: whole tiles of five and of six. */
export const BLOCK = 60; // host
/** Rows of a panel, or keys: the lanes of four vectors. */
export const LANES = 16; // host
/** Keys that one task reads for a few rows. */
export const PART = 64; // host
/** Most rows of a head of keys that are few; their bounds are one panel's. */
export const FEW_ROWS = 8; // host

/** What decides which keys a query sees. Addresses are in bytes, and 0 means that a tensor is absent. */
@unmanaged
export class MaskCall {
  segments: usize;
  keyLengths: usize;
  offsets: usize;
  reach: usize;
  causal: Flag;
  /** 0 means that there is none. */
  window: i32;
  globalTokens: i32;
  /** The position of the first query, where there are no `offsets`. */
  offset: i32;
  queries: i32;
  keys: i32;
  heads: i32;
  kvHeads: i32;
  headDim: i32;
  /** The batch row of the first task. */
  firstRow: i32;
}

@unmanaged
export class AttentionCall extends MaskCall {
  q: usize;
  k: usize;
  v: usize;
  y: usize;
  logSumExp: usize;
  scale: f32;
  /** 0 means that there is none. */
  softcap: f32;
  /** Keys in tiles, and values by channels; see pack.ts. */
  keyTiles: usize;
  valueChannels: usize;
  /** Panels of a task. */
  panels: i32;
  /** Whether tiles have the form that V8's revectorisation takes. */
  wide: Flag;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
  /** Of a few rows: sums `[part, row of all heads, headDim]` of each part, and their largest score and Σ. */
  partials: usize;
  stats: usize;
  parts: i32;
  batch: i32;
}

/**
 * The keys that each of sixteen rows sees, as i32: those from BEGIN to END, and those from FIRST to GLOBAL_END, all of
 * them included, if their segment is SEGMENT. A row that does not exist sees none.
 */
export const enum Bound {
  BEGIN = 0,
  END = 64,
  FIRST = 128,
  GLOBAL_END = 192,
  SEGMENT = 256,
}

/** Bytes of the bounds of a panel. */
export const BOUNDS: usize = 320; // host

/** The extremes of a panel's bounds, over rows that exist. */
@unmanaged
export class Extent {
  leastBegin: i32;
  mostBegin: i32;
  leastEnd: i32;
  mostEnd: i32;
  mostGlobal: i32;
  /** The number of rows that exist. */
  rows: i32;
}

/** Bytes of an Extent, padded. */
export const EXTENT: usize = 32; // host

/** Bytes of a panel before its queries: bounds, extent, m, l and factors. */
export const PANEL_HEAD: usize = BOUNDS + EXTENT + 192; // host

/** Rows of a head of keys. */
export function rowsOf(call: MaskCall): i32 {
  return call.queries * (call.heads / call.kvHeads);
}

/** The place of a row among the rows `[batch, queries, heads]` of all heads. */
export function placeOf(call: MaskCall, b: i32, kvHead: i32, row: i32): usize {
  const group = call.heads / call.kvHeads;
  const token = <usize>b * <usize>call.queries + <usize>(row / group);
  return token * <usize>call.heads + <usize>(kvHead * group + row % group);
}

/** The position of a row's first query. */
export function offsetOf(call: MaskCall, b: i32): i32 {
  const offset = call.offsets == 0 ? call.offset : load<i32>(call.offsets + (<usize>b << 2));
  return max(min(offset, 1 << 30), -(1 << 30));
}

/** The end of the keys that any query of a row sees. */
export function keysEnd(call: MaskCall, b: i32): i32 {
  let end = call.keys;
  if (call.keyLengths != 0) end = min(end, max(0, load<i32>(call.keyLengths + (<usize>b << 2))));
  if (call.causal) end = <i32>min<i64>(<i64>end, max<i64>(0, <i64>offsetOf(call, b) + <i64>call.queries));
  return end;
}

/** Writes the bounds of sixteen rows from `first` on, and returns their extremes. */
export function prepareBounds(call: MaskCall, b: i32, first: i32, rows: i32, bounds: usize, extent: Extent): void {
  extent.leastBegin = i32.MAX_VALUE;
  extent.mostBegin = 0;
  extent.leastEnd = i32.MAX_VALUE;
  extent.mostEnd = -1;
  extent.mostGlobal = -1;
  extent.rows = min(LANES, rows - first);
  for (let lane = 0; lane < LANES; lane++) {
    const to = bounds + (<usize>lane << 2);
    store<i32>(to + Bound.BEGIN, 1 << 30);
    store<i32>(to + Bound.END, -1);
    store<i32>(to + Bound.FIRST, 1 << 30);
    store<i32>(to + Bound.GLOBAL_END, -1);
    store<i32>(to + Bound.SEGMENT, 0);
    if (lane < extent.rows) boundRow(call, b, first + lane, to, extent);
  }
}

function boundRow(call: MaskCall, b: i32, row: i32, to: usize, extent: Extent): void {
  const query = row / (call.heads / call.kvHeads);
  const position = <i64>offsetOf(call, b) + <i64>query;
  const last = <i64>keysEnd(call, b) - 1;
  let first: i64 = 0;
  if (call.reach != 0) {
    const reach = load<f32>(call.reach + ((<usize>b * <usize>call.queries + <usize>query) << 2));
    // NaN is no reach at all.
    first = max<i64>(0, position + 1 - (reach >= 1 ? <i64>min<f32>(reach, 4e9) : 0));
  }
  let end = call.causal ? min(last, position) : last;
  let globalEnd = min(end, call.globalTokens == 0 ? -1 : first + <i64>call.globalTokens - 1);
  let begin = first;
  if (call.window != 0) {
    begin = max(first, position - <i64>call.window + 1);
    if (!call.causal) end = min(end, position + <i64>call.window - 1);
  }
  if (call.segments != 0) {
    if (position < 0 || position >= <i64>call.keys) {
      end = -1;
      globalEnd = -1;
    } else {
      const place = <usize>b * <usize>call.keys + <usize>position;
      store<i32>(to + Bound.SEGMENT, load<i32>(call.segments + (place << 2)));
    }
  }
  store<i32>(to + Bound.BEGIN, <i32>min<i64>(begin, 1 << 30));
  store<i32>(to + Bound.END, <i32>max<i64>(end, -1));
  store<i32>(to + Bound.FIRST, <i32>min<i64>(first, 1 << 30));
  store<i32>(to + Bound.GLOBAL_END, <i32>max<i64>(globalEnd, -1));
  extent.leastBegin = min(extent.leastBegin, load<i32>(to + Bound.BEGIN));
  extent.mostBegin = max(extent.mostBegin, load<i32>(to + Bound.BEGIN));
  extent.leastEnd = min(extent.leastEnd, load<i32>(to + Bound.END));
  extent.mostEnd = max(extent.mostEnd, load<i32>(to + Bound.END));
  extent.mostGlobal = max(extent.mostGlobal, load<i32>(to + Bound.GLOBAL_END));
}

/** Whether some row may see some key of a block. @inline */
export function seesSome(extent: Extent, first: i32, last: i32): bool {
  return (first <= extent.mostEnd && last >= extent.leastBegin) || first <= extent.mostGlobal;
}

/** Whether every row sees every key of a block. @inline */
export function seesAll(call: MaskCall, extent: Extent, first: i32, last: i32): bool {
  return call.segments == 0 && first >= extent.mostBegin && last <= extent.leastEnd;
}

/** Ones where the four rows at `bounds` see a key. @inline */
export function sees(bounds: usize, key: i32, segments: usize): v128 {
  const j = i32x4.splat(key);
  const near = v128.and(
    i32x4.ge_s(j, v128.load(bounds, Bound.BEGIN)),
    i32x4.le_s(j, v128.load(bounds, Bound.END)),
  );
  const global = v128.and(
    i32x4.ge_s(j, v128.load(bounds, Bound.FIRST)),
    i32x4.le_s(j, v128.load(bounds, Bound.GLOBAL_END)),
  );
  const seen = v128.or(near, global);
  if (segments == 0) return seen;
  const own = v128.load32_splat(segments + (<usize>key << 2));
  return v128.and(seen, i32x4.eq(own, v128.load(bounds, Bound.SEGMENT)));
}

/** The segments of a batch row; 0 where there are none. @inline */
export function segmentsOf(call: MaskCall, b: i32): usize {
  return call.segments == 0 ? 0 : call.segments + ((<usize>b * <usize>call.keys) << 2);
}
