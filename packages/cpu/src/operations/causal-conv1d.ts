import type { Results } from '@mamba/core/driver';
import type { ConvCall } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { channelsPerTask } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function causalConv1d(context: Context, call: Call<'causalConv1d'>): Results<Allocation>['causalConv1d'] {
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
      initialState: addressOf(initialState),
      lastState: lastState.address,
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

/** The fields of a convolution's call that its caller decides; the others follow from them. */
export interface ConvOptions extends Omit<ConvCall, 'yStride' | 'taskChannels' | 'scratch' | 'scratchStride'> {
  readonly batch: number;
}

export function convCommand({ team }: Context, arena: Arena, options: ConvOptions): Command {
  const { x, xStride, weight, bias, initialState, lastState, resets, y, batch, length, dim, width, silu } = options;
  const taskChannels = channelsPerTask(dim, length, batch, team.threads);
  const scratch = threadScratch(arena, team, convScratch(taskChannels, width));
  return {
    operation: 'convolution',
    tasks: batch * Math.ceil(dim / taskChannels),
    call: {
      x,
      xStride,
      weight,
      bias,
      initialState,
      lastState,
      resets,
      y,
      length,
      dim,
      width,
      silu,
      yStride: dim * ELEMENT,
      taskChannels,
      scratch: scratch.address,
      scratchStride: scratch.stride,
    },
  };
}

/**
 * Bytes of a thread's scratch: transposed weights, transposed history, a row of zeros, addresses of the rows under the
 * taps.
 */
function convScratch(channels: number, width: number): number {
  return (2 * width * channels + width) * ELEMENT;
}
