import type { Discretization } from '@mamba/core';
import type { Results } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT, type Stored } from './context.ts';

/** As the constants in assembly/kernels/selective-scan.ts. */
const discretizations: Readonly<Record<Discretization, number>> = { euler: 0, zoh: 1, bilinear: 2 };

export function selectiveScan({ heap, wasm }: Context, call: Call<'selectiveScan'>): Results<Block>['selectiveScan'] {
  const { u, delta, A, B, C, D, z, deltaBias, initialState, resets, deltaSoftplus, discretization } = call;
  const { batch, length, dim, state, groups, constantB, constantC } = call;
  return heap.run((arena) => {
    const stateBytes = dim * state * ELEMENT;
    const rowStride = dim * ELEMENT;
    const stepStride = groups * state * ELEMENT;
    const channels = dim / groups;
    const chunk = chunkFor(channels, length);
    const y = arena.result(batch * length * rowStride);
    const lastState = arena.result(batch * stateBytes);
    const scratch = arena.scratch(scratchFor(channels, state, chunk, constantB, constantC));
    const states = heap.bytes(lastState, batch * stateBytes);
    if (initialState === undefined) states.fill(0);
    else states.set(heap.bytes(initialState.storage, batch * stateBytes));

    for (let row = 0; row < batch; row++) {
      for (let group = 0; group < groups; group++) {
        const first = group * channels * ELEMENT;
        const activations = row * length * rowStride + first;
        const parameters = first * state;
        const selective = (tensor: Stored, constant: boolean): number =>
          tensor.storage.address + (constant ? parameters : row * length * stepStride + group * state * ELEMENT);
        const at = (tensor: Stored | undefined, offset: number): number =>
          tensor === undefined ? 0 : addressOf(tensor) + offset;
        wasm.selectiveScan(
          at(u, activations),
          at(delta, activations),
          at(A, parameters),
          selective(B, constantB),
          selective(C, constantC),
          at(D, first),
          at(z, activations),
          at(deltaBias, first),
          at(resets, row * length * ELEMENT),
          lastState.address + row * stateBytes + parameters,
          y.address + activations,
          rowStride,
          stepStride,
          length,
          channels,
          state,
          deltaSoftplus ? 1 : 0,
          discretizations[discretization],
          constantB ? 1 : 0,
          constantC ? 1 : 0,
          chunk,
          scratch.address,
        );
      }
    }
    return { y, lastState };
  });
}

/** Steps a chunk: its three buffers fit half of a usual second-level cache, and are long enough to make loading a state cheap. */
function chunkFor(channels: number, length: number): number {
  const fitting = Math.floor((256 * 1024) / (3 * padded(channels) * ELEMENT));
  return Math.min(length, Math.max(16, Math.min(128, fitting)));
}

/** A, the state, and B and C where constant, as blocks of eight channels; steps, inputs and results of a chunk; one block of state. */
function scratchFor(channels: number, state: number, chunk: number, constantB: boolean, constantC: boolean): number {
  const parameters = 2 + (constantB ? 1 : 0) + (constantC ? 1 : 0);
  return (padded(channels) * (parameters * state + 3 * chunk) + 8 * state) * ELEMENT;
}

function padded(channels: number): number {
  return Math.ceil(channels / 8) * 8;
}
