import type { Results } from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { runCommands, threadScratch } from '../program/program.ts';
import { channelsPerTask } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { partialSums } from './sum.ts';

export function causalConv1dBackward(
  { heap, team }: Context,
  call: Call<'causalConv1dBackward'>,
): Results<Storage>['causalConv1dBackward'] {
  const { x, weight, bias, initialState, resets, dy, dLastState, activation, batch, length, dim, width } = call;
  return heap.run((arena) => {
    const gradients = {
      x: arena.result(batch * length * dim * ELEMENT),
      weight: arena.result(dim * width * ELEMENT),
      ...(bias && { bias: arena.result(dim * ELEMENT) }),
      ...(initialState && { initialState: arena.result(batch * dim * (width - 1) * ELEMENT) }),
    };
    const dWeight = partialSums(arena, gradients.weight, dim * width, batch);
    const dBias = gradients.bias && partialSums(arena, gradients.bias, dim, batch);
    const taskChannels = channelsPerTask(dim, length, batch, team.threads);
    // Three times the taps, twice the history, two rows, and the addresses of rows.
    const scratch = threadScratch(arena, team, (5 * width * taskChannels + width) * ELEMENT);
    runCommands(
      heap,
      arena,
      team,
      {
        operation: 'convolutionBackward',
        tasks: batch * Math.ceil(dim / taskChannels),
        call: {
          x: addressOf(x),
          weight: addressOf(weight),
          bias: addressOf(bias),
          initialState: addressOf(initialState),
          resets: addressOf(resets),
          dy: addressOf(dy),
          dLastState: addressOf(dLastState),
          dx: gradients.x.address,
          dWeight: dWeight.parts,
          dBias: dBias?.parts ?? 0,
          dInitialState: gradients.initialState?.address ?? 0,
          length,
          dim,
          width,
          silu: activation === 'silu',
          taskChannels,
          scratch: scratch.address,
          scratchStride: scratch.stride,
        },
      },
      ...[dWeight, dBias].flatMap((sum) => sum?.commands ?? []),
    );
    return gradients;
  });
}
