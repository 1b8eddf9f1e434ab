import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { BLOCK, type Layout, layoutNumber, PANEL, panelBytes, type Storage } from '../memory/storage.ts';
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

/** Inputs of a packed block, as in assembly/kernels/linear-call.ts. */
const DEPTH = 1536;
/** Tiles that are packed in a chunk, as in assembly/kernels/linear-pack.ts. */
const PACKED_TILES = 4;
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

/** As `LinearCall` in assembly/kernels/linear-call.ts. Many rows are packed first, by a command of its own. */
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
  const { rowBlock, panelGroup } = cut(rows, panels, panelBytes(layout, inputs), height, most);
  const few = rows <= vectorRows;
  const rowScratch = rowBytes(inputs);
  const scratch = threadScratch(arena, context.team, few ? rows * rowScratch : TILE_BYTES);
  const packed = few ? 0 : (options.packed ?? arena.scratch(packedBytes(context, rows, inputs)).address);
  const call = [
    x,
    xStride,
    weight.address,
    layoutNumber(weight),
    bias,
    y,
    outputs * ELEMENT,
    rows,
    inputs,
    outputs,
    accumulate,
    norm !== undefined,
    norm?.weight ?? 0,
    { float: norm?.eps ?? 0 },
    vectorRows,
    rowScratch,
    rowBlock,
    panelGroup,
    context.wide,
    packed,
    scratch.address,
    scratch.stride,
  ];
  const product: Command = {
    operation: 'linear',
    chunks: Math.ceil(rows / rowBlock) * Math.ceil(panels / panelGroup),
    call,
  };
  if (few) return [product];
  return [{ operation: 'pack', chunks: Math.ceil(rows / (PACKED_TILES * height)), call }, product];
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
): { readonly rowBlock: number; readonly panelGroup: number } {
  if (rows <= STREAMED_ROWS) return { rowBlock: rows, panelGroup: Math.max(1, Math.round(STREAM / bytes)) };
  const groups = Math.ceil(panels / PANEL_GROUP);
  const blocks = Math.max(Math.ceil(rows / most), Math.min(Math.ceil(CHUNKS / groups), Math.floor(rows / 16)));
  return {
    rowBlock: Math.ceil(rows / blocks / height) * height,
    panelGroup: Math.ceil(panels / groups),
  };
}

/** Of a row that is multiplied alone or in a pair: results, x normalised, x quantised. */
function rowBytes(inputs: number): number {
  const padded = Math.ceil(inputs / PANEL) * PANEL;
  return 64 + padded * ELEMENT + Math.ceil(inputs / BLOCK) * 80;
}

/** Of tiles: zeros, an edge, a widened panel. */
const TILE_BYTES = 64 + 384 + PANEL * DEPTH * ELEMENT;
