import { ACTIVATION_BYTES, DEPTH, GROUP, type LinearCall, MOST_ROWS, PACKED_TILES, PANEL } from '../generated/calls.ts';
import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Layout, panelBytes, type Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function linear(context: Context, call: Call<'linear'>): Block {
  const { x, weight, bias, rows, inputs, outputs } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(rows * outputs * ELEMENT);
    const commands = linearCommands(context, arena, {
      x: addressOf(x),
      weight: weight.storage,
      bias: addressOf(bias),
      y: y.address,
      rows,
      inputs,
      outputs,
    });
    runCommands(heap, arena, team, ...commands);
    return y;
  });
}

export interface LinearOptions {
  readonly x: number;
  /** Bytes from row to row; absent means contiguous. */
  readonly xStride?: number | undefined;
  readonly weight: Storage;
  /** 0: none. */
  readonly bias?: number | undefined;
  readonly y: number;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Add to y. */
  readonly accumulate?: boolean | undefined;
  /** RMS-normalise x first. */
  readonly norm?: { readonly weight: number; readonly eps: number } | undefined;
  /** Where x is packed: `packedBytes`; taken from the arena if absent. */
  readonly packed?: number | undefined;
}

/** Rows whose packed block takes less than half of a usual second-level cache (1 MB); more where each block of rows widens the weights. */
const ROW_BLOCK = 66;
const WIDENED_ROW_BLOCK = 132;
/** Panels that the same cache holds beside it: they come from memory for the first block of rows alone. */
const PANEL_GROUP = 8;
/** Chunks of a product, where it is large enough. */
const CHUNKS = 12;
/** Up to here rows that are multiplied one by one or in pairs are faster than a tile; longer where tiles would have to transpose or widen the weights. */
const VECTOR_ROWS = 2;
const TRANSPOSED_ROWS = 4;
const WIDENED_ROWS = 8;
/** Up to here a product is a stream of weights: cut by panels alone. */
const STREAMED_ROWS = 16;
/** Bytes of weights that are a chunk of a decode: some 5 µs. */
const STREAM = 2 ** 16;

/** Many rows are packed first, by a command of its own. */
export function linearCommands(context: Context, arena: Arena, options: LinearOptions): Command[] {
  const {
    x,
    weight,
    bias = 0,
    y,
    rows,
    inputs,
    outputs,
    accumulate = false,
    norm,
    xStride = inputs * ELEMENT,
  } = options;
  const panels = Math.ceil(outputs / PANEL);
  const layout = weight.layout ?? 'rows';
  const height = tileHeight(context);
  const [vectorRows, most] = limits(layout);
  const { taskRows, taskPanels } = cut(rows, panels, panelBytes(layout, inputs), height, most);
  const few = rows <= vectorRows;
  const rowScratch = rowBytes(inputs);
  const scratch = threadScratch(arena, context.team, few ? rows * rowScratch : TILE_BYTES);
  const packed = few ? 0 : (options.packed ?? arena.scratch(packedBytes(context, rows, inputs)).address);
  const call: LinearCall = {
    x,
    xStride,
    weight: weight.address,
    layout,
    bias,
    y,
    yStride: outputs * ELEMENT,
    rows,
    inputs,
    outputs,
    accumulate,
    normalise: norm !== undefined,
    norm: norm?.weight ?? 0,
    eps: norm?.eps ?? 0,
    vectorRows,
    rowScratch,
    taskRows,
    taskPanels,
    wide: context.wide,
    packed,
    scratch: scratch.address,
    scratchStride: scratch.stride,
  };
  const product: Command = {
    operation: 'linear',
    tasks: Math.ceil(rows / taskRows) * Math.ceil(panels / taskPanels),
    call,
  };
  if (few) return [product];
  return [{ operation: 'pack', tasks: Math.ceil(rows / (PACKED_TILES * height)), call }, product];
}

/** Rows of the longest product that is not tiled, and of a block of tiles at most. */
function limits(layout: Layout): readonly [vectorRows: number, most: number] {
  if (layout === 'float32') return [VECTOR_ROWS, ROW_BLOCK];
  return layout === 'rows' ? [TRANSPOSED_ROWS, ROW_BLOCK] : [WIDENED_ROWS, WIDENED_ROW_BLOCK];
}

/** Of x in tiles, the last one complete. */
export function packedBytes(context: Context, rows: number, inputs: number): number {
  const height = tileHeight(context);
  return Math.ceil(rows / height) * height * inputs * ELEMENT;
}

function tileHeight({ wasm, wide }: Context): number {
  return wasm.tileRows(Number(wide));
}

/**
 * Chunks depend on the shape alone, never on the number of threads, and are alike in size, so that threads end together. Each block of rows reads
 * the weights: rows are cut finer only where groups of panels alone are too few.
 */
function cut(
  rows: number,
  panels: number,
  bytes: number,
  height: number,
  most: number,
): { readonly taskRows: number; readonly taskPanels: number } {
  if (rows <= STREAMED_ROWS) return { taskRows: rows, taskPanels: Math.max(1, Math.round(STREAM / bytes)) };
  const groups = Math.ceil(panels / PANEL_GROUP);
  const blocks = Math.max(Math.ceil(rows / most), Math.min(Math.ceil(CHUNKS / groups), Math.floor(rows / 16)));
  return {
    taskRows: Math.ceil(rows / blocks / height) * height,
    taskPanels: Math.ceil(panels / groups),
  };
}

/** Of a row that is multiplied alone or in a pair: results, x normalised, x quantised. */
function rowBytes(inputs: number): number {
  const padded = Math.ceil(inputs / PANEL) * PANEL;
  return 64 + padded * ELEMENT + Math.ceil(inputs / GROUP) * ACTIVATION_BYTES;
}

/** Of tiles: zeros, an edge, a widened panel. */
const TILE_BYTES = 64 + MOST_ROWS * 64 + PANEL * DEPTH * ELEMENT;
