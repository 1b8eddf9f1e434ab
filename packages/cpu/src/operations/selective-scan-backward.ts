import type { Results } from '@mamba/core/driver';
import { GRADIENTS, KEPT, PAIR, RECORD, SELECTIVE, SUMMED_CHANNELS, TILE_STEPS } from '../generated/calls.ts';
import type { Storage } from '../memory/storage.ts';
import { runCommands, threadScratch } from '../program/program.ts';
import { channelsPerTask } from './channels.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { padded, scanInputs, scanScratch } from './selective-scan.ts';
import { partialSums } from './sum.ts';

export function selectiveScanBackward(
  { heap, team }: Context,
  call: Call<'selectiveScanBackward'>,
): Results<Storage>['selectiveScanBackward'] {
  const { D, z, deltaBias, initialState, dy, dLastState, states } = call;
  const { batch, length, dim, state, groups, deltaSoftplus, discretization, constantB, constantC } = call;
  return heap.run((arena) => {
    const channels = dim / groups;
    const wanted = channelsPerTask(channels, length, batch * groups, team.threads);
    const taskChannels = Math.min(channels, Math.ceil(wanted / SUMMED_CHANNELS) * SUMMED_CHANNELS);
    const ranges = Math.ceil(channels / SUMMED_CHANNELS);
    const activations = batch * length * dim;
    const selective = batch * length * groups * state;
    const result = (size: number) => arena.result(size * ELEMENT);
    const gradients = {
      u: result(activations),
      delta: result(activations),
      A: result(dim * state),
      B: result(constantB ? dim * state : selective),
      C: result(constantC ? dim * state : selective),
      ...(D && { D: result(dim) }),
      ...(z && { z: result(activations) }),
      ...(deltaBias && { deltaBias: result(dim) }),
      ...(initialState && { initialState: result(batch * dim * state) }),
    };
    const dA = partialSums(arena, gradients.A, dim * state, batch);
    const dB = partialSums(arena, gradients.B, constantB ? dim * state : selective, constantB ? batch : ranges);
    const dC = partialSums(arena, gradients.C, constantC ? dim * state : selective, constantC ? batch : ranges);
    const dD = gradients.D && partialSums(arena, gradients.D, dim, batch);
    const dDeltaBias = gradients.deltaBias && partialSums(arena, gradients.deltaBias, dim, batch);
    const tileSteps = Math.min(length, TILE_STEPS);
    const scratch = threadScratch(
      arena,
      team,
      scanScratch(taskChannels, state, tileSteps, constantB, constantC) +
        backwardScratch(taskChannels, state, states ? 1 : Math.ceil(length / TILE_STEPS), constantB, constantC),
    );
    runCommands(
      heap,
      arena,
      team,
      {
        operation: 'scanBackward',
        tasks: batch * groups * Math.ceil(channels / taskChannels),
        call: {
          ...scanInputs(call),
          rowStride: dim * ELEMENT,
          zStride: dim * ELEMENT,
          stepStride: groups * state * ELEMENT,
          length,
          dim,
          state,
          groups,
          deltaSoftplus,
          discretization,
          constantB,
          constantC,
          tileSteps,
          taskChannels,
          scratch: scratch.address,
          scratchStride: scratch.stride,
          batch,
          states: addressOf(states),
          dy: addressOf(dy),
          dLastState: addressOf(dLastState),
          du: gradients.u.address,
          ddelta: gradients.delta.address,
          dA: dA.parts,
          dB: dB.parts,
          dC: dC.parts,
          dD: dD?.parts ?? 0,
          dz: gradients.z?.address ?? 0,
          dDeltaBias: dDeltaBias?.parts ?? 0,
          dInitialState: gradients.initialState?.address ?? 0,
        },
      },
      ...[dA, dB, dC, dD, dDeltaBias].flatMap((sum) => sum?.commands ?? []),
    );
    return gradients;
  });
}

/**
 * Bytes that the way back adds to the scratch of a thread: the buffers of `BackwardPart`, with the states before
 * `chunks` chunks.
 */
function backwardScratch(
  channels: number,
  state: number,
  chunks: number,
  constantB: boolean,
  constantC: boolean,
): number {
  const pairs = Math.ceil(state / 2);
  const parameters = chunks + 2 + (constantB ? 1 : 0) + (constantC ? 1 : 0);
  const blocks = padded(channels) / 8;
  const inBlocks = padded(channels) * (parameters * state + 2) * ELEMENT;
  const steps = TILE_STEPS * (blocks * RECORD + pairs * (SELECTIVE + GRADIENTS) + KEPT);
  return inBlocks + steps + PAIR + 32;
}
