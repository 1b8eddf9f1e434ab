import type { ScanResult } from '@mamba/core';
import { S4D_DISCRETE, S4D_RECORD, S4D_TASK_BLOCKS, S4D_TILE } from '../generated/calls.ts';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function s4d(context: Context, call: Call<'s4d'>): ScanResult<Storage> {
  const { heap, team } = context;
  const { batch, length, dim } = call;
  return heap.run((arena) => {
    const y = arena.result(batch * length * dim * ELEMENT);
    const lastState = arena.result(s4dStates(call) * ELEMENT);
    const { system, records, command } = s4dSystem(context, arena, call);
    // The tiles of u and y, and the states of a task's blocks.
    const scratch = threadScratch(arena, team, 2 * S4D_TILE * VECTOR + S4D_TASK_BLOCKS * records * 2 * VECTOR);
    runCommands(heap, arena, team, command, {
      operation: 's4d',
      tasks: s4dTasks(call),
      call: {
        ...s4dInputs(call, system, records, scratch),
        y: y.address,
        lastState: lastState.address,
      },
    });
    return { y, lastState };
  });
}

/** Bytes of a vector of four channels. */
export const VECTOR = 16;

type Scan = Call<'s4d' | 's4dBackward'>;

/** The number of values of the states of all rows. */
export function s4dStates({ batch, dim, state, complex }: Scan): number {
  return batch * (complex ? 2 : 1) * dim * state;
}

/** Blocks of four channels. */
export function s4dBlocks({ dim }: Scan): number {
  return Math.ceil(dim / 4);
}

/** The tasks of a scan: some blocks of one batch row each. */
export function s4dTasks(call: Scan): number {
  return call.batch * Math.ceil(s4dBlocks(call) / S4D_TASK_BLOCKS);
}

export interface S4dSystem {
  /** The address of the discretised system. */
  readonly system: number;
  /** States of a block, an even number. */
  readonly records: number;
  /** What the commands that discretise the system and take its gradients have in common. */
  readonly parameters: Command<'s4dSystem'>['call'];
  /** The command that discretises the system. */
  readonly command: Command<'s4dSystem'>;
}

/** Makes memory for the discretised system. */
export function s4dSystem({ team }: Context, arena: Arena, call: Scan): S4dSystem {
  const { dt, A, B, C, discretization, complex, dim, state } = call;
  const records = state + (state % 2);
  const blocks = s4dBlocks(call);
  const system = arena.scratch(blocks * records * S4D_RECORD).address;
  // A record of float64.
  const scratch = threadScratch(arena, team, S4D_DISCRETE);
  const parameters = {
    dt: addressOf(dt),
    A: addressOf(A),
    B: addressOf(B),
    C: addressOf(C),
    ...{ system, dim, state, records, complex },
    bilinear: discretization === 'bilinear',
    scratch: scratch.address,
    scratchStride: scratch.stride,
  };
  return { system, records, parameters, command: { operation: 's4dSystem', tasks: blocks, call: parameters } };
}

/** The part of a command's call that the scan and its backward read. */
export function s4dInputs(
  { u, D, initialState, resets, complex, length, dim, state }: Scan,
  system: number,
  records: number,
  scratch: { readonly address: number; readonly stride: number },
) {
  return {
    u: addressOf(u),
    D: addressOf(D),
    initialState: addressOf(initialState),
    resets: addressOf(resets),
    ...{ system, length, dim, state, records, complex },
    scratch: scratch.address,
    scratchStride: scratch.stride,
  };
}
