import type { KeptSteps, Results } from '@mamba/core/driver';
import { SCAN_PART_BYTES, type ScanCall, TILE_STEPS } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { channelsPerTask } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function selectiveScan(context: Context, call: Call<'selectiveScan'>): Results<Allocation>['selectiveScan'] {
  const { batch, length, dim, state, groups } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(batch * length * dim * ELEMENT);
    const lastState = arena.result(batch * dim * state * ELEMENT);
    const states =
      call.keptSteps === undefined
        ? undefined
        : arena.result(batch * Math.ceil(length / call.keptSteps) * dim * state * ELEMENT);
    const command = scanCommand(context, arena, {
      ...call,
      ...scanInputs(call),
      lastState: lastState.address,
      states: states?.address ?? 0,
      y: y.address,
      zStride: dim * ELEMENT,
      stepStride: groups * state * ELEMENT,
    });
    runCommands(heap, arena, team, command);
    return { y, lastState, ...(states && { states }) };
  });
}

/** A state is kept before each tile, of every call: all of them are computed in the same tiles. */
export const keptSteps: KeptSteps = () => TILE_STEPS;

/** The addresses of a scan's inputs. */
export function scanInputs({ u, delta, A, B, C, D, z, deltaBias, resets, initialState }: Call<'selectiveScan'>) {
  return {
    u: addressOf(u),
    delta: addressOf(delta),
    A: addressOf(A),
    B: addressOf(B),
    C: addressOf(C),
    D: addressOf(D),
    z: addressOf(z),
    deltaBias: addressOf(deltaBias),
    resets: addressOf(resets),
    initialState: addressOf(initialState),
  };
}

/** The fields of a scan's call that its caller decides; the others follow from them. */
export interface ScanOptions
  extends Omit<ScanCall, 'rowStride' | 'tileSteps' | 'taskChannels' | 'scratch' | 'scratchStride'> {
  readonly batch: number;
}

export function scanCommand({ team }: Context, arena: Arena, options: ScanOptions): Command {
  const { u, delta, A, B, C, D, z, deltaBias, resets, initialState, lastState, states } = options;
  const { y, zStride, stepStride } = options;
  const { deltaSoftplus, discretization, batch, length, dim, state, groups, constantB, constantC } = options;
  const channels = dim / groups;
  const taskChannels = channelsPerTask(channels, length, batch * groups, team.threads);
  const tileSteps = Math.min(length, TILE_STEPS);
  const scratch = threadScratch(arena, team, scanScratch(taskChannels, state, tileSteps, constantB, constantC));
  return {
    operation: 'scan',
    tasks: batch * groups * Math.ceil(channels / taskChannels),
    call: {
      u,
      delta,
      A,
      B,
      C,
      D,
      z,
      deltaBias,
      resets,
      initialState,
      lastState,
      states,
      y,
      zStride,
      stepStride,
      length,
      dim,
      state,
      groups,
      deltaSoftplus,
      discretization,
      constantB,
      constantC,
      rowStride: dim * ELEMENT,
      tileSteps,
      taskChannels,
      scratch: scratch.address,
      scratchStride: scratch.stride,
    },
  };
}

/**
 * Bytes of a thread's scratch: the `ScanPart`; in blocks of eight channels A, the state and its rest, B and C where
 * they are constant, step sizes, inputs and results; one block of state; eight vectors.
 */
export function scanScratch(
  channels: number,
  state: number,
  steps: number,
  constantB: boolean,
  constantC: boolean,
): number {
  const parameters = 3 + (constantB ? 1 : 0) + (constantC ? 1 : 0);
  return SCAN_PART_BYTES + (padded(channels) * (parameters * state + 3 * steps) + 8 * state + 32) * ELEMENT;
}

/** Channels in whole blocks of eight. */
export function padded(channels: number): number {
  return Math.ceil(channels / 8) * 8;
}
