/**
 * The layout of attention over the device, by a small rule from the shape: large tiles where they fit in workgroup
 * memory, and the keys cut over workgroups where there are few rows.
 */
import type { TensorSpec } from '@mamba/core';
import type { AttentionCall } from '@mamba/core/driver';
import type { AttentionVariant } from './attention-variant.ts';
import type { KernelContext } from './kernel-context.ts';

export interface AttentionPlan extends AttentionVariant {
  readonly tiles: number;
  readonly splits: number;
}

/** Most channels of a head: a lane's sums of more would not stay in registers. */
export const MOST_CHANNELS = 512;
/** Workgroups that fill a large device, and of a step, which waits for memory. */
const FILLING = 264;
const FILLING_STEP = 1056;
/** The fewest tiles of keys that a workgroup is started for. */
const SHORTEST_SPLIT = 2;

/** Layouts from the fastest on; the last one needs hardly any workgroup memory. */
const LAYOUTS: readonly AttentionVariant[] = [
  { rows: 8, keys: 2, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 2, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: true, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: false, stageKeys: true },
  { rows: 4, keys: 1, stageQueries: false, stageKeys: false },
];

export function planAttention(
  { gpu, attentionVariant }: KernelContext,
  call: AttentionCall<TensorSpec>,
): AttentionPlan {
  const { batch, queries, heads, kvHeads, headDim } = call;
  const quads = Math.ceil(headDim / 4);
  const rows = (queries * heads) / kvHeads;
  const few = rows <= FEW_ROWS;
  const memory = gpu.limits.maxComputeWorkgroupStorageSize;
  const layout =
    attentionVariant ?? LAYOUTS.find((some) => (some.rows === 4 || !few) && workgroupBytes(some, quads) <= memory)!;
  const tiles = Math.ceil(rows / (8 * layout.rows));
  const keyTiles = Math.ceil(lastKey(call) / (16 * layout.keys));
  const wanted = Math.round((few ? FILLING_STEP : FILLING) / (tiles * kvHeads * batch));
  const most = Math.min(Math.floor(keyTiles / SHORTEST_SPLIT), Math.floor(gpu.maxBinding / partialBytes(call)));
  return { ...layout, tiles, splits: Math.max(1, Math.min(wanted, most)) };
}

function workgroupBytes({ rows, keys, stageQueries, stageKeys }: AttentionVariant, quads: number): number {
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

/** Rows of a workgroup of attention-matrix.wgsl. */
export const MATRIX_ROWS = 64;

/** Whether a call runs on matrix units: one of more than a few rows, whose heads are whole matrices that fit. */
export function usesMatrixUnits({ gpu, matrixUnits }: KernelContext, call: AttentionCall<TensorSpec>): boolean {
  const { queries, heads, kvHeads, headDim } = call;
  if (matrixUnits === undefined || headDim % 16 !== 0 || headDim > MOST_MATRIX_CHANNELS) return false;
  const operand = 64 * (headDim / 8 + 1);
  const bytes = 16 * (2 * operand + 4 * 16 * 17 + 1);
  return (queries * heads) / kvHeads > FEW_ROWS && bytes <= gpu.limits.maxComputeWorkgroupStorageSize;
}

/** Most rows of a call that is few, as a step is; and most channels whose sums stay in registers as matrices. */
const FEW_ROWS = 32;
const MOST_MATRIX_CHANNELS = 128;
