import type { Results } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { channelBlock } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function causalConv1d(context: Context, call: Call<'causalConv1d'>): Results<Block>['causalConv1d'] {
  const { x, weight, bias, initialState, resets, activation, batch, length, dim, width } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(batch * length * dim * ELEMENT);
    const lastState = arena.result(batch * dim * (width - 1) * ELEMENT);
    const command = convCommand(context, arena, {
      x: addressOf(x),
      xStride: dim * ELEMENT,
      weight: addressOf(weight),
      bias: addressOf(bias),
      initial: addressOf(initialState),
      state: lastState.address,
      resets: addressOf(resets),
      y: y.address,
      batch,
      length,
      dim,
      width,
      silu: activation === 'silu',
    });
    runCommands(heap, arena, team, command);
    return { y, lastState };
  });
}

/** Addresses; 0 where absent. */
export interface ConvOptions {
  readonly x: number;
  /** Bytes from step to step. */
  readonly xStride: number;
  readonly weight: number;
  readonly bias: number;
  /** May be `state`. */
  readonly initial: number;
  readonly state: number;
  readonly resets: number;
  readonly y: number;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly width: number;
  readonly silu: boolean;
}

/** As `ConvCall` in assembly/kernels/causal-conv1d.ts. */
export function convCommand({ team }: Context, arena: Arena, options: ConvOptions): Command {
  const { x, xStride, weight, bias, initial, state, resets, y, batch, length, dim, width, silu } = options;
  const block = channelBlock(dim, length, batch, team.threads);
  const scratch = threadScratch(arena, team, convScratch(block, width));
  return {
    operation: 'convolution',
    chunks: batch * Math.ceil(dim / block),
    call: [
      x,
      xStride,
      weight,
      bias,
      initial,
      state,
      resets,
      y,
      dim * ELEMENT,
      length,
      dim,
      width,
      silu,
      block,
      scratch.address,
      scratch.stride,
    ],
  };
}

/** Transposed weights, transposed history, a row of zeros, addresses of the rows under the taps. */
function convScratch(channels: number, width: number): number {
  return (2 * width * channels + width) * ELEMENT;
}
