import type { Results } from '@mamba/core/driver';
import type { GatedRmsNormCall } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Storage } from '../memory/storage.ts';
import { type Command, runCommands } from '../program/program.ts';
import { rowsOfPart } from './column-sum.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { partialSums } from './sum.ts';

export function gatedRmsNorm({ heap, team }: Context, call: Call<'gatedRmsNorm'>): Allocation {
  const { x, z, weight, eps, normBeforeGate, rows, channels, groupSize } = call;
  return heap.run((arena) => {
    const y = arena.result(rows * channels * ELEMENT);
    const command = gatedRmsNormCommand({
      x: addressOf(x),
      z: addressOf(z),
      zStride: channels * ELEMENT,
      weight: addressOf(weight),
      y: y.address,
      rows,
      channels,
      groupSize,
      eps,
      normBeforeGate,
    });
    runCommands(heap, arena, team, command);
    return y;
  });
}

/** Values of a task, which take some 5 µs. */
const TASK = 8192;

function gatedRmsNormCommand(call: Omit<GatedRmsNormCall, 'taskRows'>): Command {
  const taskRows = Math.max(1, Math.floor(TASK / call.channels));
  return { operation: 'gatedRmsNorm', tasks: Math.ceil(call.rows / taskRows), call: { ...call, taskRows } };
}

export function gatedRmsNormBackward(
  { heap, team }: Context,
  call: Call<'gatedRmsNormBackward'>,
): Results<Storage>['gatedRmsNormBackward'] {
  const { x, z, weight, dy, eps, normBeforeGate, rows, channels, groupSize } = call;
  return heap.run((arena) => {
    const dx = arena.result(rows * channels * ELEMENT);
    const dz = z && arena.result(rows * channels * ELEMENT);
    const dWeight = weight && arena.result(channels * ELEMENT);
    const taskRows = rowsOfPart(rows);
    const tasks = Math.ceil(rows / taskRows);
    const sum = dWeight && partialSums(arena, dWeight, channels, tasks);
    runCommands(
      heap,
      arena,
      team,
      {
        operation: 'gatedRmsNormBackward',
        tasks,
        call: {
          x: addressOf(x),
          z: addressOf(z),
          weight: addressOf(weight),
          dy: addressOf(dy),
          dx: dx.address,
          dz: dz?.address ?? 0,
          dWeight: sum?.parts ?? 0,
          rows,
          channels,
          groupSize,
          eps,
          normBeforeGate,
          taskRows,
        },
      },
      ...(sum?.commands ?? []),
    );
    return { x: dx, ...(dz && { z: dz }), ...(dWeight && { weight: dWeight }) };
  });
}
