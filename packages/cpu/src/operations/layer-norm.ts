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
  /** Bytes from one row of x to the next; absent means contiguous. */
  readonly xStride?: number | undefined;
  /** 0 means that there is none. */
  readonly weight: number;
  /** 0 means that there is none. */
  readonly bias: number;
  /** Its rows are contiguous. It may be x where the rows of x are contiguous as well. */
  readonly y: number;
  readonly rows: number;
  readonly channels: number;
  readonly eps: number;
}

/** Values of a task, which take some 5 µs. */
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
