import type { Activation } from '@mamba/core';
import type { MultiplyCall as Kernel } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import { type Command, runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function multiply({ heap, team }: Context, { a, b, activation, scale, size }: Call<'multiply'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(size * ELEMENT);
    const options = { a: addressOf(a), b: addressOf(b), y: y.address, rows: 1, channels: size, activation, scale };
    runCommands(heap, arena, team, multiplyCommand(options));
    return y;
  });
}

/** Addresses, and bytes from one row to the next. An absent stride means contiguous rows. */
export interface MultiplyOptions {
  readonly a: number;
  readonly aStride?: number | undefined;
  /** 0 means that there is none. */
  readonly b: number;
  readonly bStride?: number | undefined;
  /** It may be a or b. */
  readonly y: number;
  readonly yStride?: number | undefined;
  readonly rows: number;
  readonly channels: number;
  readonly activation?: Activation | undefined;
  readonly scale?: number | undefined;
}

/** Channels of a task, which take some 5 µs; three such rows fit a second-level cache. */
const TASK = 8192;

export function multiplyCommand(options: MultiplyOptions): Command {
  const { a, b, y, rows, channels, activation = 'none', scale = 1 } = options;
  const { aStride = channels * ELEMENT, bStride = channels * ELEMENT, yStride = channels * ELEMENT } = options;
  const taskChannels = Math.min(channels, TASK);
  return {
    operation: 'multiply',
    tasks: rows * Math.ceil(channels / taskChannels),
    call: {
      ...{ a, aStride, b, bStride, y, yStride, rows, channels, scale, taskChannels },
      activation: activationName(activation),
    },
  };
}

const NAMES = {
  none: 'none',
  silu: 'silu',
  gelu: 'gelu',
  'gelu-tanh': 'geluTanh',
  relu2: 'relu2',
  exp: 'exp',
  sigmoid: 'sigmoid',
  tanh: 'tanh',
  'elu-plus-one': 'eluPlusOne',
  reciprocal: 'reciprocal',
} as const satisfies Record<Activation, Kernel['activation']>;

/** The name that the kernels' enumeration has. */
export function activationName(activation: Activation): Kernel['activation'] {
  return NAMES[activation];
}
