import type { AttentionResult, TensorSpec } from '@mamba/core';
import type { AttentionCall, DeviceTensor } from '@mamba/core/driver';
import { attentionBounds, attentionMatrix, attentionSum, attention as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { MATRIX_ROWS, MOST_CHANNELS, planAttention, usesMatrixUnits } from './attention-plan.ts';
import type { KernelContext } from './kernel-context.ts';

/** Softmax attention in tiles. Where there are few rows, the keys are cut over workgroups, and a sum follows. */
export function attention(
  kernels: KernelContext,
  call: AttentionCall<DeviceTensor<Storage>>,
): AttentionResult<Storage> {
  const { gpu } = kernels;
  const { batch, queries, heads, kvHeads, headDim } = call;
  return gpu.allocating((allocator) => {
    const total = batch * queries * heads;
    const y = allocator.result(4 * total * headDim, 'attention y');
    const logSumExp = allocator.result(4 * total, 'attention logSumExp');
    if (usesMatrixUnits(kernels, call)) {
      attendOnMatrixUnits(kernels, allocator, call, wholeRange(y), wholeRange(logSumExp));
      return { y: unsplitStorage(y), logSumExp: unsplitStorage(logSumExp) };
    }
    const { rows, keys, stageQueries, stageKeys, splits, tiles } = planAttention(kernels, call);
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

/** The same on matrix units, 64 rows of a head of keys a workgroup. */
function attendOnMatrixUnits(
  { gpu, matrixUnits }: KernelContext,
  allocator: Allocator,
  call: AttentionCall<DeviceTensor<Storage>>,
  y: BufferRange,
  results: BufferRange,
): void {
  const { batch, queries, heads, kvHeads, headDim } = call;
  const mask = maskOf(gpu, allocator, call);
  gpu.dispatch(attentionMatrix, {
    constants: { QUADS: headDim / 4, DEEP: headDim / 16 },
    overrides: { ...mask.overrides, PAIRS: matrixUnits!.pairs },
    bindings: { q: rangeOf(call.q), k: rangeOf(call.k), v: rangeOf(call.v), bounds: mask.bounds, y, results },
    uniforms: { ...mask.uniforms, ...scoreUniforms(call), headDim, zero: 0 },
    workgroups: [Math.ceil((queries * heads) / kvHeads / MATRIX_ROWS), kvHeads, batch],
  });
}

/** The reason why the call cannot run on this device, although its inputs fit. */
export function attentionRefusal(kernels: KernelContext, call: AttentionCall<TensorSpec>): string | undefined {
  const { gpu } = kernels;
  const { batch, kvHeads, headDim } = call;
  if (headDim > MOST_CHANNELS) return `heads of ${headDim} channels are more than ${MOST_CHANNELS}`;
  const { splits, tiles } = planAttention(kernels, call);
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  const most = Math.max(tiles * splits, kvHeads, batch);
  if (most > limit) return `it would take ${most} workgroups in one dimension, more than ${limit}`;
  return bindingRefusal(gpu, 'what queries see', boundsSize(call));
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
