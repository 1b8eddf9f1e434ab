import type { AttentionResult, TensorSpec } from '@mamba/core';
import type { AttentionCall, DeviceTensor } from '@mamba/core/driver';
import {
  attentionBounds,
  attentionHalves,
  attentionMatrix,
  attentionStep,
  attentionSum,
  attention as shader,
} from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import {
  isStep,
  MATRIX_ROWS,
  MOST_CHANNELS,
  planAttention,
  planAttentionStep,
  usesMatrixUnits,
} from './attention-plan.ts';
import type { KernelContext } from './kernel-context.ts';

/** Softmax attention in tiles. Where there are few rows, the keys are cut over workgroups, and a sum follows. */
export function attention(
  kernels: KernelContext,
  call: AttentionCall<DeviceTensor<Storage>>,
): AttentionResult<Storage> {
  const { gpu } = kernels;
  const { batch, queries, heads, headDim } = call;
  return gpu.allocating((allocator) => {
    const total = batch * queries * heads;
    const y = allocator.result(4 * total * headDim, 'attention y');
    const logSumExp = allocator.result(4 * total, 'attention logSumExp');
    attend(kernels, allocator, call, { y: wholeRange(y), results: wholeRange(logSumExp) });
    return { y: unsplitStorage(y), logSumExp: unsplitStorage(logSumExp) };
  });
}

/** Where a call leaves y and logSumExp. */
export interface Results {
  readonly y: BufferRange;
  readonly results: BufferRange;
}

/** The same into memory that the caller has. */
export function attend(
  kernels: KernelContext,
  allocator: Allocator,
  call: AttentionCall<DeviceTensor<Storage>>,
  results: Results,
): void {
  if (usesMatrixUnits(kernels, call)) attendOnMatrixUnits(kernels, allocator, call, results);
  else if (isStep(call)) attendInStep(kernels, allocator, call, results);
  else attendOnLanes(kernels, allocator, call, results);
}

function attendOnLanes(
  kernels: KernelContext,
  allocator: Allocator,
  call: AttentionCall<DeviceTensor<Storage>>,
  results: Results,
): void {
  const { gpu } = kernels;
  const { batch, kvHeads, headDim } = call;
  const { splits, tiles, ...layout } = planAttention(kernels, call);
  const { down, across, keys } = layout;
  const quads = Math.ceil(headDim / 4);
  const mask = maskOf(gpu, allocator, call);
  const scores = scoresOf(call);
  inSplits(gpu, allocator, call, splits, results, (y, stats) =>
    gpu.dispatch(shader, {
      link: headDim % 4 === 0 ? 'quads' : 'singles',
      constants: {
        QUADS: quads,
        DOWN: down,
        ACROSS: across,
        KEYS: keys,
        WIDE: Math.ceil(quads / across),
        BROUGHT: Math.ceil((keys * quads) / down),
        TOGETHER: quads % 4 === 0 ? 4 : quads % 2 === 0 ? 2 : 1,
        KEYS_TOGETHER: 8,
      },
      overrides: {
        ...mask.overrides,
        ...scores.overrides,
        STAGE_KEYS: layout.stageKeys,
        STAGE_VALUES: layout.stageValues,
        SPLIT: splits > 1,
      },
      bindings: { q: rangeOf(call.q), k: rangeOf(call.k), v: rangeOf(call.v), bounds: mask.bounds, y, stats },
      uniforms: { ...mask.uniforms, ...scores.uniforms, headDim, splits, zero: 0 },
      workgroups: [tiles * splits, kvHeads, batch],
    }),
  );
}

/** A few rows against a cache. */
function attendInStep(
  kernels: KernelContext,
  allocator: Allocator,
  call: AttentionCall<DeviceTensor<Storage>>,
  results: Results,
): void {
  const { gpu } = kernels;
  const { batch, kvHeads, headDim } = call;
  const { across, each, rows, splits } = planAttentionStep(kernels, call);
  const quads = Math.ceil(headDim / 4);
  const mask = maskOf(gpu, allocator, call);
  const scores = scoresOf(call);
  inSplits(gpu, allocator, call, splits, results, (y, stats) =>
    gpu.dispatch(attentionStep, {
      link: headDim % 4 === 0 ? 'quads' : 'singles',
      constants: { QUADS: quads, ACROSS: across, WIDE: Math.ceil(quads / across), EACH: each, ROWS: rows },
      overrides: { ...mask.overrides, ...scores.overrides, SPLIT: splits > 1 },
      bindings: { q: rangeOf(call.q), k: rangeOf(call.k), v: rangeOf(call.v), bounds: mask.bounds, y, stats },
      uniforms: { ...mask.uniforms, ...scores.uniforms, headDim, splits, zero: 0 },
      workgroups: [splits, kvHeads, batch],
    }),
  );
}

/** Dispatches what leaves sums and statistics of splits of the keys, and adds them up where there are several. */
function inSplits(
  gpu: Gpu,
  allocator: Allocator,
  { batch, queries, heads, headDim }: AttentionCall<unknown>,
  splits: number,
  { y, results }: Results,
  dispatch: (y: BufferRange, stats: BufferRange) => void,
): void {
  if (splits === 1) {
    dispatch(y, results);
    return;
  }
  const total = batch * queries * heads;
  const sums = wholeRange(allocator.scratch(4 * splits * total * headDim, 'attention sums'));
  const stats = wholeRange(allocator.scratch(8 * splits * total, 'attention stats'));
  dispatch(sums, stats);
  const blocks = Math.ceil(headDim / 64);
  gpu.dispatch(attentionSum, {
    bindings: { sums, stats, y, results },
    uniforms: { total, headDim, blocks, splits, zero: 0 },
    workgroups: gpu.grid(total * blocks),
  });
}

/** The same on matrix units, from keys and values that are rounded to halves first. */
function attendOnMatrixUnits(
  { gpu, matrixUnits }: KernelContext,
  allocator: Allocator,
  call: AttentionCall<DeviceTensor<Storage>>,
  { y, results }: Results,
): void {
  const { batch, queries, keys, heads, kvHeads, headDim } = call;
  const { pairs } = matrixUnits!;
  const mask = maskOf(gpu, allocator, call);
  const scores = scoresOf(call);
  const headOctets = headDim / 8;
  const octets = batch * keys * kvHeads * headOctets;
  const halves = wholeRange(allocator.scratch((pairs ? 64 : 32) * octets, 'attention halves'));
  gpu.dispatch(attentionHalves, {
    overrides: { PAIRS: pairs },
    bindings: { k: rangeOf(call.k), v: rangeOf(call.v), halves },
    uniforms: { octets, keys, kvHeads, headOctets },
    workgroups: gpu.grid(Math.ceil(octets / 64)),
  });
  gpu.dispatch(attentionMatrix, {
    constants: { DEEP: headDim / 16, BROUGHT: Math.ceil(headDim / 32) },
    overrides: { ...mask.overrides, ...scores.overrides, PAIRS: pairs },
    bindings: { q: rangeOf(call.q), halves, bounds: mask.bounds, y, results },
    uniforms: { ...mask.uniforms, ...scores.uniforms, headDim, octets, zero: 0 },
    workgroups: [Math.ceil((queries * heads) / kvHeads / MATRIX_ROWS), kvHeads, batch],
  });
}

/** The reason why the call cannot run on this device, although its inputs fit. */
export function attentionRefusal(kernels: KernelContext, call: AttentionCall<TensorSpec>): string | undefined {
  const { gpu } = kernels;
  const { batch, kvHeads, headDim } = call;
  if (headDim > MOST_CHANNELS) return `heads of ${headDim} channels are more than ${MOST_CHANNELS}`;
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  const { splits, tiles } = isStep(call)
    ? { ...planAttentionStep(kernels, call), tiles: 1 }
    : planAttention(kernels, call);
  const most = Math.max(tiles * splits, kvHeads, batch);
  if (most > limit) return `it would take ${most} workgroups in one dimension, more than ${limit}`;
  return bindingRefusal(gpu, 'what queries see', boundsSize(call));
}

/** What lib/attention-mask.wgsl needs of a call. */
export interface Mask {
  readonly overrides: { readonly BOUNDED: boolean; readonly PLACED: boolean; readonly SEGMENTED: boolean };
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

/** The mask of a call. One that lies in tensors, and not in offsets alone, is made by a dispatch of its own. */
export function maskOf(gpu: Gpu, allocator: Allocator, call: AttentionCall<DeviceTensor<Storage>>): Mask {
  const { segments, keyLengths, offsets, reach, causal, window = 0, globalTokens, offset } = call;
  const { batch, queries, keys, heads, kvHeads } = call;
  const group = heads / kvHeads;
  const SEGMENTED = segments !== undefined;
  const BOUNDED = SEGMENTED || keyLengths !== undefined || reach !== undefined;
  const PLACED = !BOUNDED && offsets !== undefined;
  const common = { batch, queries, keys, group, rows: queries * group, offset, window, globalTokens, causal: +causal };
  const uniforms = { ...common, heads, kvHeads };
  const overrides = { BOUNDED, PLACED, SEGMENTED };
  if (!BOUNDED) return { overrides, bounds: PLACED ? rangeOf(offsets) : gpu.unusedInput, uniforms };
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
  return { overrides, bounds, uniforms };
}

/** Numbers of the bounds of all queries, and of the segments of all keys. */
function boundsSize({ batch, queries, keys, segments }: AttentionCall<unknown>): number {
  return batch * (8 * queries + (segments === undefined ? 0 : keys));
}

/** What lib/attention-scores.wgsl needs of a call: scores are powers of two. */
export interface Scores {
  readonly overrides: { readonly CAPPED: boolean };
  readonly uniforms: { readonly factor: number; readonly cap: number };
}

export function scoresOf({ scale, softcap }: AttentionCall<unknown>): Scores {
  if (softcap === undefined) return { overrides: { CAPPED: false }, uniforms: { factor: scale * Math.LOG2E, cap: 0 } };
  return { overrides: { CAPPED: true }, uniforms: { factor: scale / softcap, cap: softcap * Math.LOG2E } };
}
