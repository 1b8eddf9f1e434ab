import {
  ACTIVATION_BYTES,
  DEPTH,
  GROUP,
  type LinearCall,
  MOST_ROWS,
  PACKED_COLUMN_TILES,
  PACKED_TILES,
  PANEL,
} from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Layout, panelBytes, type Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function linear(context: Context, call: Call<'linear'>): Allocation {
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
  /** Bytes from one row to the next; absent means contiguous. */
  readonly xStride?: number | undefined;
  readonly weight: Storage;
  /** Whether x is `[inputs, rows]`. */
  readonly xTransposed?: boolean | undefined;
  /** Whether the weight is `[inputs, outputs]`. */
  readonly weightTransposed?: boolean | undefined;
  /** The address of the bias; 0 means none. */
  readonly bias?: number | undefined;
  readonly y: number;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Whether the product is added to y. */
  readonly accumulate?: boolean | undefined;
  /** The norm that is applied to x first; absent means none. */
  readonly norm?: { readonly weight: number; readonly eps: number } | undefined;
  /** The address of `packedBytes` of memory in which x is packed; taken from the arena if absent. */
  readonly packed?: number | undefined;
}

/** Most rows of a task: packed, they take less than half of a usual second-level cache (1 MB). */
const MOST_TASK_ROWS = 66;
/** The same where each task widens the weights, so that more rows share that work. */
const MOST_WIDENED_TASK_ROWS = 132;
/** The same where each task makes panels of a matrix that has none, which costs more. */
export const MOST_TRANSPOSED_TASK_ROWS = 264;
/**
 * Most panels of a task: the same cache holds them beside the rows, so they come from memory for the first range of
 * rows alone.
 */
const MOST_TASK_PANELS = 8;
/** Tasks of a product that is large enough for so many. */
const TASKS = 12;
/** Most rows that are faster one by one or in pairs than in a tile. */
const VECTOR_ROWS = 2;
/** The same where tiles would have to transpose the weights. */
const TRANSPOSED_ROWS = 4;
/** The same where tiles would have to widen the weights. */
const WIDENED_ROWS = 8;
/** Most rows of a product that is a stream of weights, and is cut by panels alone. */
const STREAMED_ROWS = 16;
/** Bytes of weights in a task of such a product, which take some 5 µs. */
const STREAMED_BYTES = 2 ** 16;

/** The commands of a product. Many rows are packed first, by a command of their own. */
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
    xTransposed = false,
    weightTransposed = false,
    xStride = (xTransposed ? rows : inputs) * ELEMENT,
  } = options;
  const panels = Math.ceil(outputs / PANEL);
  const layout = weight.layout ?? 'rows';
  const height = tileHeight(context);
  const [fewRows, most] = weightTransposed ? [0, MOST_TRANSPOSED_TASK_ROWS] : limits(layout);
  const vectorRows = xTransposed ? 0 : fewRows;
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
    weightTransposed,
    xTransposed,
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
  const tiles = xTransposed ? PACKED_COLUMN_TILES : PACKED_TILES;
  return [{ operation: 'pack', tasks: Math.ceil(rows / (tiles * height)), call }, product];
}

/** The most rows of a product without tiles, and of a task with tiles. */
function limits(layout: Layout): readonly [vectorRows: number, most: number] {
  if (layout === 'float32') return [VECTOR_ROWS, MOST_TASK_ROWS];
  return layout === 'rows' ? [TRANSPOSED_ROWS, MOST_TRANSPOSED_TASK_ROWS] : [WIDENED_ROWS, MOST_WIDENED_TASK_ROWS];
}

/** Bytes of x packed into tiles; the last tile is padded to full height. */
export function packedBytes(context: Context, rows: number, inputs: number): number {
  const height = tileHeight(context);
  return Math.ceil(rows / height) * height * inputs * ELEMENT;
}

function tileHeight({ wasm, wide }: Context): number {
  return wasm.tileRows(Number(wide));
}

/**
 * Cuts a product into tasks. They depend on the shape alone, never on the number of threads, and are alike in size, so
 * that threads end together. Each range of rows reads the weights again, so rows are cut finer only where panels alone
 * give too few tasks.
 */
function cut(
  rows: number,
  panels: number,
  bytes: number,
  height: number,
  most: number,
): { readonly taskRows: number; readonly taskPanels: number } {
  if (rows <= STREAMED_ROWS) return { taskRows: rows, taskPanels: Math.max(1, Math.round(STREAMED_BYTES / bytes)) };
  const groups = Math.ceil(panels / MOST_TASK_PANELS);
  const ranges = Math.max(Math.ceil(rows / most), Math.min(Math.ceil(TASKS / groups), Math.floor(rows / 16)));
  return {
    taskRows: Math.ceil(rows / ranges / height) * height,
    taskPanels: Math.ceil(panels / groups),
  };
}

/** Bytes of scratch of a row that is multiplied alone or in a pair: results, x normalised, x quantised. */
function rowBytes(inputs: number): number {
  const padded = Math.ceil(inputs / PANEL) * PANEL;
  return 64 + padded * ELEMENT + Math.ceil(inputs / GROUP) * ACTIVATION_BYTES;
}

/** Bytes of scratch for tiles: zeros, a tile's edge, a widened panel, and a group of another one on its way to it. */
const TILE_BYTES = 64 + MOST_ROWS * 64 + PANEL * (DEPTH + GROUP) * ELEMENT;
