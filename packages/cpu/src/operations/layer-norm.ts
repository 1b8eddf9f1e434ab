import type { Allocation } from '../memory/allocator.ts';
import { type Command, runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function layerNorm(
  { heap, team }: Context,
  { x, weight, bias, eps, rows, channels }: Call<'layerNorm'>,
): Allocation {
  return heap.run((arena) => {
    const y = arena.result(rows * channels * ELEMENT);
    const options = { x: addressOf(x), weight: addressOf(weight), bias: addressOf(bias), y: y.address };
    runCommands(heap, arena, team, layerNormCommand({ ...options, rows, channels, eps }));
    return y;
  });
}

export interface LayerNormOptions {
  readonly x: number;
  /** Bytes from row to row; absent means contiguous. */
  readonly xStride?: number | undefined;
  /** 0: none. */
  readonly weight: number;
  /** 0: none. */
  readonly bias: number;
  /** Rows are contiguous. May be x where its rows are, too. */
  readonly y: number;
  readonly rows: number;
  readonly channels: number;
  readonly eps: number;
}

/** Values of a task: some 5 µs. */
const TASK = 8192;

export function layerNormCommand(options: LayerNormOptions): Command {
  const { x, weight, bias, y, rows, channels, eps, xStride = channels * ELEMENT } = options;
  const taskRows = Math.max(1, Math.floor(TASK / channels));
  return {
    operation: 'layerNorm',
    tasks: Math.ceil(rows / taskRows),
    call: { x, xStride, weight, bias, y, rows, channels, eps, taskRows },
  };
}
