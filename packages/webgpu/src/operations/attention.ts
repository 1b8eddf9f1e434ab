import type { AttentionResult, TensorSpec } from '@mamba/core';
import type { AttentionCall, DeviceTensor } from '@mamba/core/driver';
import { attentionBounds, attentionSum, attention as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** Softmax attention in tiles. Where there are few rows, the keys are cut over workgroups, and a sum follows. */
export function attention(gpu: Gpu, call: AttentionCall<DeviceTensor<Storage>>): AttentionResult<Storage> {
  const { batch, queries, heads, kvHeads, headDim } = call;
  return gpu.allocating((allocator) => {
    const total = batch * queries * heads;
    const y = allocator.result(4 * total * headDim, 'attention y');
    const logSumExp = allocator.result(4 * total, 'attention logSumExp');
    const { rows, keys, stageQueries, stageKeys, splits, tiles } = planAttention(gpu, call);
    const cut = splits > 1;
    const sums = cut ? wholeRange(allocator.scratch(4 * splits * total * headDim, 'attention sums')) : wholeRange(y);
    const stats = cut ? wholeRange(allocator.scratch(8 * splits * total, 'attention stats')) : wholeRange(logSumExp);
    const mask = maskOf(gpu, allocator, call);
    const quads = Math.ceil(headDim / 4);
    gpu.dispatch(shader, {
      link: headDim % 4 === 0 ? 'quads' : 'singles',
      constants: { QUADS: quads, ROWS: rows, KEYS: keys, WIDE: Math.ceil(quads / 16), QUARTERS: rows / 4 },
      overrides: { ...mask.overrides, STAGE_QUERIES: stageQueries, STAGE_KEYS: stageKeys, SPLIT: cut },
      bindings: {
        q: rangeOf(call.q),
        k: rangeOf(call.k),
        v: rangeOf(call.v),
        bounds: mask.bounds,
        y: sums,
        stats,
      },
      uniforms: { ...mask.uniforms, ...scoreUniforms(call), headDim, splits, zero: 0 },
      workgroups: [tiles * splits, kvHeads, batch],
    });
    if (cut)
      gpu.dispatch(attentionSum, {
        bindings: { sums, stats, y: wholeRange(y), results: wholeRange(logSumExp) },
        uniforms: { total, headDim, splits, zero: 0 },
        workgroups: gpu.grid(total),
      });
    return { y: unsplitStorage(y), logSumExp: unsplitStorage(logSumExp) };
  });
}

/** The reason why the call cannot run on this device, although its inputs fit. */
export function attentionRefusal(gpu: Gpu, call: AttentionCall<TensorSpec>): string | undefined {
  const { batch, kvHeads, headDim } = call;
  if (headDim > MOST_CHANNELS) return `heads of ${headDim} channels are more than ${MOST_CHANNELS}`;
  const { splits, tiles } = planAttention(gpu, call);
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  const most = Math.max(tiles * splits, kvHeads, batch);
  if (most > limit) return `it would take ${most} workgroups in one dimension, more than ${limit}`;
  return bindingRefusal(gpu, 'what queries see', boundsSize(call));
}

/** Most channels of a head: a lane's sums of more would not stay in registers. */
const MOST_CHANNELS = 512;
/** Workgroups that fill a large device, and of a step, which waits for memory. */
const FILLING = 264;
const FILLING_STEP = 1056;
/** The fewest tiles of keys that a workgroup is started for. */
const SHORTEST_SPLIT = 2;

/** The layout of a call; see attention.wgsl. */
interface Plan {
  /** Rows and keys of a lane. */
  readonly rows: 4 | 8;
  readonly keys: 1 | 2;
  readonly stageQueries: boolean;
  readonly stageKeys: boolean;
  readonly tiles: number;
  readonly splits: number;
}

type Layout = Pick<Plan, 'rows' | 'keys' | 'stageQueries' | 'stageKeys'>;

/** Layouts from the fastest on; the last one needs hardly any workgroup memory. */
const LAYOUTS: readonly Layout[] = [
  { rows: 8, keys: 2, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 2, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: false, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: false, stageKeys: false },
];

function planAttention(gpu: Gpu, call: AttentionCall<TensorSpec>): Plan {
  const { batch, queries, heads, kvHeads, headDim } = call;
  const quads = Math.ceil(headDim / 4);
  const rows = (queries * heads) / kvHeads;
  const few = rows <= 32;
  const memory = gpu.limits.maxComputeWorkgroupStorageSize;
  const layout = LAYOUTS.find((some) => (some.rows === 4 || !few) && workgroupBytes(some, quads) <= memory)!;
  const tiles = Math.ceil(rows / (8 * layout.rows));
  const keyTiles = Math.ceil(lastKey(call) / (16 * layout.keys));
  const wanted = Math.round((few ? FILLING_STEP : FILLING) / (tiles * kvHeads * batch));
  const most = Math.min(Math.floor(keyTiles / SHORTEST_SPLIT), Math.floor(gpu.maxBinding / partialBytes(call)));
  return { ...layout, tiles, splits: Math.max(1, Math.min(wanted, most)) };
}

function workgroupBytes({ rows, keys, stageQueries, stageKeys }: Layout, quads: number): number {
  const queries = stageQueries ? 8 * rows * quads : 1;
  const block = stageKeys ? 16 * keys * (quads + 1) : 1;
  return 16 * (queries + block + 16 * keys * 2 * rows + 5 * 2 * rows);
}

function partialBytes({ batch, queries, heads, headDim }: AttentionCall<TensorSpec>): number {
  return 4 * batch * queries * heads * Math.max(headDim, 2);
}

/** The end of the keys that are seen, as far as the host knows it. */
function lastKey({ keys, causal, offset, offsets, queries }: AttentionCall<TensorSpec>): number {
  if (!causal) return keys;
  const first = offsets === undefined ? offset : (offsets.range?.max ?? keys);
  return Math.max(1, Math.min(keys, first + queries));
}

/** What lib/attention-mask.wgsl needs of a call. */
export interface Mask {
  readonly overrides: { readonly BOUNDED: boolean; readonly SEGMENTED: boolean };
  readonly bounds: BufferRange;
  readonly uniforms: Readonly<
    Record<
      | 'batch'
      | 'queries'
      | 'keys'
      | 'heads'
      | 'kvHeads'
      | 'group'
      | 'rows'
      | 'offset'
      | 'window'
      | 'globalTokens'
      | 'causal',
      number
    >
  >;
}

/** The mask of a call. One that lies in tensors is made by a dispatch of its own. */
export function maskOf(gpu: Gpu, allocator: Allocator, call: AttentionCall<DeviceTensor<Storage>>): Mask {
  const { segments, keyLengths, offsets, reach, causal, window = 0, globalTokens, offset } = call;
  const { batch, queries, keys, heads, kvHeads } = call;
  const group = heads / kvHeads;
  const SEGMENTED = segments !== undefined;
  const BOUNDED = SEGMENTED || keyLengths !== undefined || offsets !== undefined || reach !== undefined;
  const common = { batch, queries, keys, group, rows: queries * group, offset, window, globalTokens, causal: +causal };
  const uniforms = { ...common, heads, kvHeads };
  if (!BOUNDED) return { overrides: { BOUNDED, SEGMENTED }, bounds: gpu.unusedInput, uniforms };
  const bounds = wholeRange(allocator.scratch(4 * boundsSize(call), 'attention bounds'));
  const input = (tensor: DeviceTensor<Storage> | undefined): BufferRange =>
    tensor === undefined ? gpu.unusedInput : rangeOf(tensor);
  gpu.dispatch(attentionBounds, {
    overrides: { SEGMENTED },
    bindings: {
      keyLengths: input(keyLengths),
      offsets: input(offsets),
      reach: input(reach),
      segments: input(segments),
      bounds,
    },
    uniforms: {
      ...common,
      lengths: +(keyLengths !== undefined),
      offsets: +(offsets !== undefined),
      reaches: +(reach !== undefined),
    },
    workgroups: gpu.grid(Math.ceil((batch * (queries + (SEGMENTED ? keys : 0))) / 64)),
  });
  return { overrides: { BOUNDED, SEGMENTED }, bounds, uniforms };
}

/** Numbers of the bounds of all queries, and of the segments of all keys. */
function boundsSize({ batch, queries, keys, segments }: AttentionCall<unknown>): number {
  return batch * (8 * queries + (segments === undefined ? 0 : keys));
}

/** What lib/attention-scores.wgsl needs of a call: scores are powers of two. */
export function scoreUniforms({ scale, softcap = 0 }: AttentionCall<unknown>): { factor: number; cap: number } {
  return {
    factor: softcap === 0 ? scale * Math.LOG2E : scale / softcap,
    cap: softcap * Math.LOG2E,
  };
}
