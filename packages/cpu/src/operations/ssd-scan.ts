import type { Results } from '@mamba/core/driver';
import { SSD_PART_BYTES, type SsdScanCall } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function ssdScan(context: Context, call: Call<'ssdScan'>): Results<Allocation>['ssdScan'] {
  const { batch, length, heads, headDim, state } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const y = arena.result(batch * length * heads * headDim * ELEMENT);
    const lastState = arena.result(batch * heads * headDim * state * ELEMENT);
    const command = ssdScanCommand(context, arena, {
      ...call,
      ...ssdInputs(call),
      lastState: lastState.address,
      y: y.address,
      yStride: heads * headDim * ELEMENT,
    });
    runCommands(heap, arena, team, command);
    return { y, lastState };
  });
}

/** The addresses of the scan's inputs, and their strides where they are tensors of their own. */
export function ssdInputs(call: Call<'ssdScan'>) {
  const { x, dt, A, B, C, D, z, dtBias, resets, initialState, heads, headDim, groups, state } = call;
  return {
    x: addressOf(x),
    dt: addressOf(dt),
    A: addressOf(A),
    B: addressOf(B),
    C: addressOf(C),
    D: addressOf(D),
    z: addressOf(z),
    dtBias: addressOf(dtBias),
    resets: addressOf(resets),
    initialState: addressOf(initialState),
    xStride: heads * headDim * ELEMENT,
    dtStride: heads * ELEMENT,
    zStride: heads * headDim * ELEMENT,
    stepStride: groups * state * ELEMENT,
  };
}

/** The fields of a scan's call that its caller decides; the others follow from them. */
export interface SsdScanOptions extends Omit<SsdScanCall, 'wide' | 'taskHeads' | 'scratch' | 'scratchStride'> {
  readonly batch: number;
}

function ssdScanCommand({ team, wasm, wide }: Context, arena: Arena, options: SsdScanOptions): Command {
  const { x, dt, A, B, C, D, z, dtBias, resets, initialState, lastState, y } = options;
  const { xStride, dtStride, zStride, stepStride, yStride, dtSoftplus, dtMin, dtMax, wideD } = options;
  const { batch, length, heads, headDim, groups, state } = options;
  const groupHeads = heads / groups;
  const taskHeads = headsPerTask(groupHeads, batch * groups, team.threads);
  const part = arena.scratch(SSD_PART_BYTES).address;
  const scratch = threadScratch(arena, team, wasm.ssdScratch(part, headDim, state, taskHeads, Number(wide)));
  return {
    operation: 'ssdScan',
    tasks: batch * groups * Math.ceil(groupHeads / taskHeads),
    call: {
      x,
      dt,
      A,
      B,
      C,
      D,
      z,
      dtBias,
      resets,
      initialState,
      xStride,
      dtStride,
      zStride,
      stepStride,
      length,
      heads,
      headDim,
      groups,
      state,
      dtSoftplus,
      dtMin,
      dtMax,
      wideD,
      wide,
      taskHeads,
      scratch: scratch.address,
      scratchStride: scratch.stride,
      lastState,
      y,
      yStride,
    },
  };
}

/** Most heads of a task, whose states stay in a second-level cache. */
const MOST_HEADS = 8;
/** The least number of tasks for each thread, so that others can help a thread that is late. */
const TASKS_PER_THREAD = 2;

/** Heads of a task, which share C Bᵀ. There are `others` such groups: batch rows times groups. */
function headsPerTask(heads: number, others: number, threads: number): number {
  const wanted = threads === 1 ? 1 : Math.ceil((TASKS_PER_THREAD * threads) / others);
  return Math.ceil(heads / Math.max(Math.ceil(heads / MOST_HEADS), Math.min(heads, wanted)));
}
