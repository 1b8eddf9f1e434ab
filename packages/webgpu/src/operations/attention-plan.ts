/**
 * The layout of attention over the device, by a small rule from the shape: large tiles where they fit in workgroup
 * memory and registers, and the keys cut over workgroups where there are few rows.
 */
import type { TensorSpec } from '@mamba/core';
import type { AttentionCall } from '@mamba/core/driver';
import type { AttentionVariant } from './attention-variant.ts';
import type { KernelContext } from './kernel-context.ts';

export interface AttentionPlan extends AttentionVariant {
  readonly tiles: number;
  readonly splits: number;
}

/** The layout of attention-step.wgsl. */
export interface AttentionStepPlan {
  readonly across: number;
  readonly each: number;
  readonly rows: number;
  readonly splits: number;
}

/** Most channels of a head: a lane's sums of more would not stay in registers. */
export const MOST_CHANNELS = 512;
/** Workgroups that fill a large device, and of a step, which waits for memory. */
const FILLING = 264;
const FILLING_STEP = 1056;
/** The fewest tiles of keys that a workgroup is started for. */
const SHORTEST_SPLIT = 2;
/** Most rows of a call that is few. */
const FEW_ROWS = 32;
/** Quads of sums that stay in a lane's registers with ease. */
const EASY_SUMS = 16;

const ALL = { stageKeys: true, stageValues: true };
const KEYS_ONLY = { stageKeys: true, stageValues: false };

/** Layouts from the fastest on; the last one needs hardly any workgroup memory. */
export const LAYOUTS: readonly AttentionVariant[] = [
  { down: 16, across: 8, keys: 4, ...ALL },
  { down: 16, across: 8, keys: 2, ...ALL },
  { down: 16, across: 8, keys: 4, ...KEYS_ONLY },
  { down: 8, across: 16, keys: 2, ...ALL },
  { down: 8, across: 16, keys: 2, ...KEYS_ONLY },
  { down: 8, across: 16, keys: 1, ...KEYS_ONLY },
  { down: 8, across: 16, keys: 1, stageKeys: false, stageValues: false },
];
/** For a call of few rows: 32 rows a workgroup. */
const FEW_LAYOUTS = LAYOUTS.filter(({ down }) => down === 8);

export function planAttention(
  { gpu, attentionVariant }: KernelContext,
  call: AttentionCall<TensorSpec>,
): AttentionPlan {
  const { batch, queries, heads, kvHeads, headDim } = call;
  const quads = Math.ceil(headDim / 4);
  const rows = (queries * heads) / kvHeads;
  const few = rows <= FEW_ROWS;
  const memory = gpu.limits.maxComputeWorkgroupStorageSize;
  const layouts = few ? FEW_LAYOUTS : LAYOUTS;
  const layout = attentionVariant ?? layouts.find((some) => fits(some, quads, memory)) ?? layouts.at(-1)!;
  const tiles = Math.ceil(rows / (4 * layout.down));
  const wanted = (few ? FILLING_STEP : FILLING) / (tiles * kvHeads * batch);
  return { ...layout, tiles, splits: splitsOf(gpu.maxBinding, call, layout.across * layout.keys, wanted) };
}

function fits(layout: AttentionVariant, quads: number, memory: number): boolean {
  return workgroupBytes(layout, quads) <= memory && 4 * Math.ceil(quads / layout.across) <= EASY_SUMS;
}

function workgroupBytes({ down, across, keys, stageKeys, stageValues }: AttentionVariant, quads: number): number {
  const staged = across * keys * Math.max(down + 1, stageKeys ? quads + 1 : 1);
  const values = stageValues ? across * keys * quads : 1;
  return 16 * (staged + values + across * down);
}

/** Whether a call has so few rows that attention-step.wgsl reads the cache once for all of them. */
export function isStep({ queries, heads, kvHeads, headDim }: AttentionCall<TensorSpec>): boolean {
  return ((queries * heads) / kvHeads) * Math.ceil(headDim / 128) <= MOST_STEP_ROWS;
}

/** Most rows of a step of at most 128 channels: queries and sums stay in registers beside a tile of keys and values. */
const MOST_STEP_ROWS = 8;
/** Lanes of a workgroup of a step, and the fewest and most that share a key. */
const STEP_LANES = 128;
const FEWEST_ACROSS = 8;
const MOST_ACROSS = 32;

export function planAttentionStep({ gpu }: KernelContext, call: AttentionCall<TensorSpec>): AttentionStepPlan {
  const { batch, queries, heads, kvHeads, headDim } = call;
  const quads = Math.ceil(headDim / 4);
  const rows = powerFrom((queries * heads) / kvHeads);
  const across = Math.max(FEWEST_ACROSS, Math.min(MOST_ACROSS, powerFrom(quads)));
  const each = Math.max(1, Math.floor(Math.min(8, 16 / rows) / Math.ceil(quads / across)));
  const wanted = FILLING_STEP / (kvHeads * batch);
  return { across, each, rows, splits: splitsOf(gpu.maxBinding, call, (STEP_LANES / across) * each, wanted) };
}

/** The smallest power of two that is at least a number. */
function powerFrom(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

/** How often the keys are cut, for some workgroups more and no fewer than a few tiles each. */
function splitsOf(maxBinding: number, call: AttentionCall<TensorSpec>, tileKeys: number, wanted: number): number {
  const tiles = Math.ceil(lastKey(call) / tileKeys);
  const most = Math.min(Math.floor(tiles / SHORTEST_SPLIT), Math.floor(maxBinding / partialBytes(call)));
  return Math.max(1, Math.min(Math.round(wanted), most));
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

/** Rows of a workgroup of attention-matrix.wgsl, and keys of its tile. */
export const MATRIX_ROWS = 64;
const MATRIX_KEYS = 32;
/** Most channels whose sums stay in registers as matrices. */
const MOST_MATRIX_CHANNELS = 128;

/**
 * Whether a call runs on matrix units: one of more than a few rows, whose heads are whole matrices, and tiles fit in
 * workgroup memory.
 */
export function usesMatrixUnits(
  { gpu, matrixUnits }: KernelContext,
  { queries, heads, kvHeads, headDim }: AttentionCall<TensorSpec>,
): boolean {
  if (matrixUnits === undefined || headDim % 16 !== 0 || headDim > MOST_MATRIX_CHANNELS) return false;
  const tiles = 2 * MATRIX_KEYS * (headDim / 8 + 1);
  const scores = MATRIX_ROWS * (MATRIX_KEYS / 4 + 1);
  const bytes = 16 * (tiles + scores + 16 * 5 + 1);
  return (queries * heads) / kvHeads > FEW_ROWS && bytes <= gpu.limits.maxComputeWorkgroupStorageSize;
}
