import type { Results } from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { runCommands } from '../program/program.ts';
import { rowsOfPart } from './column-sum.ts';
import { addressOf, type Call, type Context, ELEMENT, type Stored } from './context.ts';
import { partialSums } from './sum.ts';

export function rmsNormBackward(context: Context, call: Call<'rmsNormBackward'>): Results<Storage>['rmsNormBackward'] {
  return normBackward(context, call, undefined, false);
}

export function layerNormBackward(
  context: Context,
  call: Call<'layerNormBackward'>,
): Results<Storage>['layerNormBackward'] {
  return normBackward(context, call, call.bias, true);
}

function normBackward(
  { heap, team }: Context,
  { x, weight, eps, rows, channels, dy }: Call<'rmsNormBackward'>,
  bias: Stored | undefined,
  centred: boolean,
): Results<Storage>['layerNormBackward'] {
  return heap.run((arena) => {
    const dx = arena.result(rows * channels * ELEMENT);
    const taskRows = rowsOfPart(rows);
    const tasks = Math.ceil(rows / taskRows);
    const shared = (parameter: Stored | undefined) => {
      if (parameter === undefined) return undefined;
      const gradient = arena.result(channels * ELEMENT);
      return { gradient, ...partialSums(arena, gradient, channels, tasks) };
    };
    const [dWeight, dBias] = [shared(weight), shared(bias)];
    runCommands(
      heap,
      arena,
      team,
      {
        operation: 'normBackward',
        tasks,
        call: {
          x: addressOf(x),
          weight: addressOf(weight),
          dy: addressOf(dy),
          dx: dx.address,
          dWeight: dWeight?.parts ?? 0,
          dBias: dBias?.parts ?? 0,
          rows,
          channels,
          eps,
          centred,
          taskRows,
        },
      },
      ...(dWeight?.commands ?? []),
      ...(dBias?.commands ?? []),
    );
    return { x: dx, ...(dWeight && { weight: dWeight.gradient }), ...(dBias && { bias: dBias.gradient }) };
  });
}
