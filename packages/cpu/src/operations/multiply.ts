import type { Activation } from '@mamba/core';
import type { Block } from '../memory/allocator.ts';
import { type Command, runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function multiply({ heap, team }: Context, { a, b, activation, scale, size }: Call<'multiply'>): Block {
  return heap.run((arena) => {
    const y = arena.result(size * ELEMENT);
    const options = { a: addressOf(a), b: addressOf(b), y: y.address, rows: 1, channels: size, activation, scale };
    runCommands(heap, arena, team, multiplyCommand(options));
    return y;
  });
}

/** Addresses, and bytes from row to row; absent strides mean rows that are contiguous. */
export interface MultiplyOptions {
  readonly a: number;
  readonly aStride?: number | undefined;
  /** 0: none. */
  readonly b: number;
  readonly bStride?: number | undefined;
  /** May be a or b. */
  readonly y: number;
  readonly yStride?: number | undefined;
  readonly rows: number;
  readonly channels: number;
  readonly activation?: Activation | undefined;
  readonly scale?: number | undefined;
}

/** As `Activation` in assembly/kernels/multiply.ts. */
const ACTIVATIONS = { none: 0, silu: 1, gelu: 2, 'gelu-tanh': 3, relu2: 4 } as const satisfies Record<
  Activation,
  number
>;

/** Channels of a chunk: some 5 µs, and three such rows fit a second-level cache. */
const BLOCK = 8192;

/** As `MultiplyCall` in assembly/kernels/multiply.ts. */
export function multiplyCommand(options: MultiplyOptions): Command {
  const { a, b, y, rows, channels, activation = 'none', scale = 1 } = options;
  const { aStride = channels * ELEMENT, bStride = channels * ELEMENT, yStride = channels * ELEMENT } = options;
  const block = Math.min(channels, BLOCK);
  return {
    operation: 'multiply',
    chunks: rows * Math.ceil(channels / block),
    call: [a, aStride, b, bStride, y, yStride, rows, channels, ACTIVATIONS[activation], { float: scale }, block],
  };
}
