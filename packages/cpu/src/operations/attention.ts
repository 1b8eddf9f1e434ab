import type { Results } from '@mamba/core/driver';
import {
  type AttentionCall,
  type AttentionPackCall,
  BLOCK,
  BOUNDS,
  EXTENT,
  FEW_ROWS,
  LANES,
  PANEL_HEAD,
  PART,
} from '../generated/calls.ts';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** Softmax attention: tiles of queries and keys, or streams of keys and values where there are a few queries. */
export function attention(context: Context, call: Call<'attention'>): Results<Storage>['attention'] {
  const { batch, queries, heads, headDim } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const rows = batch * queries * heads;
    const y = arena.result(rows * headDim * ELEMENT);
    const logSumExp = arena.result(rows * ELEMENT);
    const options = { ...attentionInputs(context, call), y: y.address, logSumExp: logSumExp.address };
    runCommands(heap, arena, team, ...attentionCommands(context, arena, options));
    return { y, logSumExp };
  });
}

export function attentionCommands(context: Context, arena: Arena, options: AttentionOptions): Command[] {
  const { queries, heads, kvHeads } = options;
  const few = (queries * heads) / kvHeads <= FEW_ROWS;
  return few ? fewCommands(context, arena, options) : tileCommands(context, arena, options);
}

/** The fields of a call that follow from its arguments. Memory is taken later, by the form that runs it. */
export type AttentionOptions = Omit<AttentionCall, 'firstRow' | keyof typeof NO_MEMORY>;

export const NO_MEMORY = {
  keyTiles: 0,
  valueChannels: 0,
  panels: 0,
  scratch: 0,
  scratchStride: 0,
  partials: 0,
  stats: 0,
  parts: 0,
} as const;

export function attentionInputs({ wide }: Context, call: Call<'attention'>): Omit<AttentionOptions, 'y' | 'logSumExp'> {
  const { causal, window = 0, globalTokens, scale, softcap = 0, offset } = call;
  const { batch, queries, keys, heads, kvHeads, headDim } = call;
  return {
    segments: addressOf(call.segments),
    keyLengths: addressOf(call.keyLengths),
    offsets: addressOf(call.offsets),
    reach: addressOf(call.reach),
    ...{ causal, window, globalTokens, offset, queries, keys, heads, kvHeads, headDim },
    q: addressOf(call.q),
    k: addressOf(call.k),
    v: addressOf(call.v),
    ...{ scale, softcap, wide, batch },
  };
}

/** Most floats of what is packed at once, unless a single row of the batch takes more. */
const MOST_PACKED = 2 ** 24;
/** Panels of a task: their sums stay in the second-level cache beside a block of keys and values. */
const MOST_PANELS = 4;
/** Tasks of a call that is large enough for so many. */
const TASKS = 24;

function tileCommands(context: Context, arena: Arena, options: AttentionOptions): Command[] {
  const { team } = context;
  const { batch, queries, keys, heads, kvHeads, headDim, k, v } = options;
  const channels = paddedChannels(context, headDim);
  const packed = packedFloats(keys, kvHeads, headDim) + packedFloats(keys, kvHeads, channels);
  const together = batchRows(batch, packed);
  const rows = (queries * heads) / kvHeads;
  const panels = Math.ceil(rows / LANES);
  const taskPanels = Math.max(1, Math.min(MOST_PANELS, Math.floor((panels * kvHeads * together) / TASKS)));
  const bytes = 64 + BLOCK * 64 + LANES * headDim * ELEMENT;
  const scratch = threadScratch(arena, team, bytes + taskPanels * (PANEL_HEAD + (headDim + channels) * 64));
  const keyTiles = arena.scratch(together * packedFloats(keys, kvHeads, headDim) * ELEMENT).address;
  const valueChannels = arena.scratch(together * packedFloats(keys, kvHeads, channels) * ELEMENT).address;
  return eachGroup(batch, together, (firstRow, count) => [
    packCommand(options, { from: k, to: keyTiles, ofQueries: false, turned: true }, firstRow, count),
    packCommand(options, { from: v, to: valueChannels, ofQueries: false, turned: false }, firstRow, count),
    {
      operation: 'attentionTiles',
      tasks: count * kvHeads * Math.ceil(rows / (taskPanels * LANES)),
      call: {
        ...options,
        ...NO_MEMORY,
        firstRow,
        keyTiles,
        valueChannels,
        panels: taskPanels,
        scratch: scratch.address,
        scratchStride: scratch.stride,
      },
    },
  ]);
}

function fewCommands(context: Context, arena: Arena, options: AttentionOptions): Command[] {
  const { batch, queries, keys, heads, headDim } = options;
  const parts = Math.ceil(keys / PART);
  const rows = batch * queries * heads;
  const own = queries * heads;
  const lanes = Math.ceil(own / 4) * 4;
  const bytes = BOUNDS + EXTENT + ((lanes + own) * Math.ceil(headDim / 4) * 4 + lanes * PART) * ELEMENT;
  const scratch = threadScratch(arena, context.team, bytes);
  const call = {
    ...options,
    ...NO_MEMORY,
    firstRow: 0,
    scratch: scratch.address,
    scratchStride: scratch.stride,
    partials: arena.scratch(parts * rows * headDim * ELEMENT).address,
    stats: arena.scratch(parts * rows * 2 * ELEMENT).address,
    parts,
  };
  return [
    { operation: 'attentionFew', tasks: batch * parts, call },
    { operation: 'attentionCombine', tasks: rows, call },
  ];
}

/** Where rows of heads come from, where they go, and in which order; see assembly/kernels/attention/pack.ts. */
export interface Packing {
  readonly from: number;
  readonly to: number;
  readonly ofQueries: boolean;
  readonly turned: boolean;
  readonly factor?: number | undefined;
}

export function packCommand(
  options: MaskCallOptions,
  { from, to, ofQueries, turned, factor = 1 }: Packing,
  firstRow: number,
  count: number,
): Command<'attentionPack'> {
  const { queries, keys, heads, kvHeads, headDim, wide } = options;
  const { segments, keyLengths, offsets, reach, causal, window, globalTokens, offset } = options;
  const rows = ofQueries ? (queries * heads) / kvHeads : keys;
  const call: AttentionPackCall = {
    ...{ segments, keyLengths, offsets, reach, causal, window, globalTokens, offset },
    ...{ queries, keys, heads, kvHeads, headDim, firstRow },
    ...{ from, to, ofQueries, turned, factor, wide },
  };
  return { operation: 'attentionPack', tasks: count * kvHeads * Math.ceil(rows / BLOCK), call };
}

type MaskCallOptions = Omit<AttentionPackCall, 'firstRow' | keyof Packing>;

/** Channels of a head in whole tiles. */
export function paddedChannels({ wasm, wide }: Context, headDim: number): number {
  const height = wasm.tileRows(Number(wide));
  return Math.ceil(headDim / height) * height;
}

/** Floats of a batch row that is packed: rows of a head of keys in blocks, `channels` each. */
export function packedFloats(rows: number, kvHeads: number, channels: number): number {
  return Math.ceil(rows / BLOCK) * BLOCK * kvHeads * channels;
}

/** The number of rows of the batch that are packed together. */
export function batchRows(batch: number, floats: number): number {
  return Math.min(batch, Math.max(1, Math.floor(MOST_PACKED / floats)));
}

/** The commands of a batch, group by group. Groups follow one another, so they share what is packed. */
export function eachGroup(
  batch: number,
  together: number,
  make: (firstRow: number, count: number) => Command[],
): Command[] {
  const commands: Command[] = [];
  for (let first = 0; first < batch; first += together)
    commands.push(...make(first, Math.min(together, batch - first)));
  return commands;
}
