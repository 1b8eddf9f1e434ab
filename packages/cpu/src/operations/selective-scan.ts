import type { Discretization } from '@mamba/core';
import type { Results } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { channelBlock } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** As the constants in assembly/kernels/selective-scan.ts. */
const discretizations: Readonly<Record<Discretization, number>> = { euler: 0, zoh: 1, bilinear: 2 };

export function selectiveScan(context: Context, call: Call<'selectiveScan'>): Results<Block>['selectiveScan'] {
  const { u, delta, A, B, C, D, z, deltaBias, initialState, resets, batch, length, dim, state, groups } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(batch * length * dim * ELEMENT);
    const lastState = arena.result(batch * dim * state * ELEMENT);
    const command = scanCommand(context, arena, {
      ...call,
      u: addressOf(u),
      delta: addressOf(delta),
      A: addressOf(A),
      B: addressOf(B),
      C: addressOf(C),
      D: addressOf(D),
      z: addressOf(z),
      deltaBias: addressOf(deltaBias),
      resets: addressOf(resets),
      initial: addressOf(initialState),
      lastState: lastState.address,
      y: y.address,
      zStride: dim * ELEMENT,
      stepStride: groups * state * ELEMENT,
    });
    runCommands(heap, arena, team, command);
    return { y, lastState };
  });
}

/** Addresses; 0 where absent. Strides in bytes. */
export interface ScanOptions {
  readonly u: number;
  readonly delta: number;
  readonly A: number;
  readonly B: number;
  readonly C: number;
  readonly D: number;
  readonly z: number;
  readonly deltaBias: number;
  readonly resets: number;
  /** May be `lastState`. */
  readonly initial: number;
  readonly lastState: number;
  /** May be u or delta. */
  readonly y: number;
  readonly zStride: number;
  /** From step to step of B and C. */
  readonly stepStride: number;
  readonly deltaSoftplus: boolean;
  readonly discretization: Discretization;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups: number;
  readonly constantB: boolean;
  readonly constantC: boolean;
}

/** As `ScanCall` in assembly/kernels/selective-scan.ts. */
export function scanCommand({ team }: Context, arena: Arena, options: ScanOptions): Command {
  const { u, delta, A, B, C, D, z, deltaBias, resets, initial, lastState, y, zStride, stepStride } = options;
  const { deltaSoftplus, discretization, batch, length, dim, state, groups, constantB, constantC } = options;
  const channels = dim / groups;
  const block = channelBlock(channels, length, batch * groups, team.threads);
  const steps = Math.min(length, STEPS);
  const scratch = threadScratch(arena, team, scanScratch(block, state, steps, constantB, constantC));
  return {
    operation: 'scan',
    chunks: batch * groups * Math.ceil(channels / block),
    call: [
      u,
      delta,
      A,
      B,
      C,
      D,
      z,
      deltaBias,
      resets,
      initial,
      lastState,
      y,
      dim * ELEMENT,
      zStride,
      stepStride,
      length,
      dim,
      state,
      groups,
      deltaSoftplus,
      discretizations[discretization],
      constantB,
      constantC,
      steps,
      block,
      scratch.address,
      scratch.stride,
    ],
  };
}

/**
 * Steps that are held in blocks: the three buffers of the widest chunk fit half of a usual second-level cache, and they are enough to make loading a state
 * cheap. The same for every chunk: where a state overflows, it decides what is computed again.
 */
const STEPS = 40;

/**
 * A, the state and its rest, and B and C where constant, as blocks of eight channels; steps, inputs and results; one
 * block of state; eight vectors.
 */
function scanScratch(channels: number, state: number, steps: number, constantB: boolean, constantC: boolean): number {
  const parameters = 3 + (constantB ? 1 : 0) + (constantC ? 1 : 0);
  return (padded(channels) * (parameters * state + 3 * steps) + 8 * state + 32) * ELEMENT;
}

function padded(channels: number): number {
  return Math.ceil(channels / 8) * 8;
}
