import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { BLOCK, layoutNumber, PANEL, panelBytes, type Storage } from '../memory/storage.ts';
import { type Command, runCommand, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function linear(context: Context, call: Call<'linear'>): Block {
  const { x, weight, bias, rows, inputs, outputs } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(rows * outputs * ELEMENT);
    const command = linearCommand(context, arena, {
      x: addressOf(x),
      weight: weight.storage,
      bias: addressOf(bias),
      y: y.address,
      rows,
      inputs,
      outputs,
    });
    runCommand(heap, arena, team, command);
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
}

/** Inputs of a packed block, as in assembly/kernels/linear.ts. */
const DEPTH = 512;
/** Rows whose packed block fits the second-level cache. */
const ROW_BLOCK = 132;
/** Panels that a packed block meets at most, so that packing costs little. */
const PANEL_GROUP = 16;
/** Chunks of a product, where it is large enough. */
const CHUNKS = 12;
/** Up to here rows that are multiplied one by one or in pairs are faster than a tile; longer where tiles would have to widen the weights. */
const VECTOR_ROWS = 4;
const WIDENED_ROWS = 8;
/** Up to here a product is a stream of weights: cut by panels alone. */
const STREAMED_ROWS = 16;
/** Bytes of weights that are a chunk of a decode: some 5 µs. */
const STREAM = 2 ** 16;

/** As `LinearCall` in assembly/kernels/linear.ts. */
export function linearCommand(context: Context, arena: Arena, options: LinearOptions): Command {
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
  const height = context.wasm.tileRows(Number(context.wide));
  const { rowBlock, panelGroup } = cut(rows, panels, panelBytes(layout, inputs), height);
  const vectorRows = layout === 'float32' || layout === 'rows' ? VECTOR_ROWS : WIDENED_ROWS;
  const rowScratch = rowBytes(inputs);
  const scratch = threadScratch(arena, context.team, rows <= vectorRows ? rows * rowScratch : tileBytes(rowBlock));
  return {
    operation: 'linear',
    chunks: Math.ceil(rows / rowBlock) * Math.ceil(panels / panelGroup),
    call: [
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
      scratch.address,
      scratch.stride,
    ],
  };
}

/**
 * Chunks depend on the shape alone, never on the number of threads, and are alike in size, so that threads end together. A chunk packs its rows
 * for its group of panels: rows are cut finer only where groups alone are too few.
 */
function cut(
  rows: number,
  panels: number,
  bytes: number,
  height: number,
): { readonly rowBlock: number; readonly panelGroup: number } {
  if (rows <= STREAMED_ROWS) return { rowBlock: rows, panelGroup: Math.max(1, Math.round(STREAM / bytes)) };
  const groups = Math.ceil(panels / PANEL_GROUP);
  const blocks = Math.max(Math.ceil(rows / ROW_BLOCK), Math.min(Math.ceil(CHUNKS / groups), Math.floor(rows / 16)));
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

/** Of tiles: zeros, an edge, the rows' scales, a widened panel, packed rows. */
function tileBytes(rowBlock: number): number {
  const paddedRows = Math.ceil(rowBlock / PANEL) * PANEL;
  return 64 + 384 + (paddedRows + PANEL * DEPTH + (rowBlock + 6) * DEPTH) * ELEMENT;
}
