import type { Results } from '@mamba/core/driver';
import { S4D_RECORD, S4D_TILE } from '../generated/calls.ts';
import type { Storage } from '../memory/storage.ts';
import { runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { s4dBlocks, s4dInputs, s4dStates, s4dSystem, s4dTasks, VECTOR } from './s4d.ts';
import { partialSums } from './sum.ts';

export function s4dBackward(context: Context, call: Call<'s4dBackward'>): Results<Storage>['s4dBackward'] {
  const { heap, team } = context;
  const { B, D, initialState, dy, dLastState, batch, length, dim } = call;
  return heap.run((arena) => {
    const parameterBytes = (s4dStates(call) / batch) * ELEMENT;
    const gradients = {
      u: arena.result(batch * length * dim * ELEMENT),
      dt: arena.result(dim * ELEMENT),
      A: arena.result(parameterBytes),
      C: arena.result(parameterBytes),
      ...(B && { B: arena.result(parameterBytes) }),
      ...(D && { D: arena.result(dim * ELEMENT) }),
      ...(initialState && { initialState: arena.result(s4dStates(call) * ELEMENT) }),
    };
    const { system, records, parameters, command } = s4dSystem(context, arena, call);
    const values = (s4dBlocks(call) * records * S4D_RECORD) / ELEMENT;
    const total = arena.scratch(values * ELEMENT);
    const sums = partialSums(arena, total, values, batch);
    const dD = gradients.D && partialSums(arena, gradients.D, dim, batch);
    // Tiles of u, dy and du, the values of a state in a tile and before it, G, and the states before each tile.
    const tiles = Math.ceil(length / S4D_TILE);
    const scratch = threadScratch(arena, team, (5 * S4D_TILE + 2 + 2 * records * (tiles + 1)) * VECTOR);
    runCommands(
      heap,
      arena,
      team,
      command,
      {
        operation: 's4dBackward',
        tasks: s4dTasks(call),
        call: {
          ...s4dInputs(call, system, records, scratch),
          dy: addressOf(dy),
          dLastState: addressOf(dLastState),
          du: gradients.u.address,
          dD: dD?.parts ?? 0,
          dInitialState: gradients.initialState?.address ?? 0,
          gradients: sums.parts,
        },
      },
      ...sums.commands,
      ...(dD?.commands ?? []),
      {
        operation: 's4dSystemBackward',
        tasks: s4dBlocks(call),
        call: {
          ...parameters,
          gradients: total.address,
          ddt: gradients.dt.address,
          dA: gradients.A.address,
          dB: gradients.B?.address ?? 0,
          dC: gradients.C.address,
        },
      },
    );
    return gradients;
  });
}
