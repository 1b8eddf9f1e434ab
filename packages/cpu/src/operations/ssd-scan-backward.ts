import type { Results } from '@mamba/core/driver';
import { SSD_PART_BYTES, SUMMED_HEADS } from '../generated/calls.ts';
import type { Storage } from '../memory/storage.ts';
import { runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { ssdInputs } from './ssd-scan.ts';
import { partialSums } from './sum.ts';

export function ssdScanBackward(
  { heap, team, wasm, wide }: Context,
  call: Call<'ssdScanBackward'>,
): Results<Storage>['ssdScanBackward'] {
  const { D, z, dtBias, initialState, dy, dLastState, dtSoftplus, dtMin, dtMax, wideD } = call;
  const { batch, length, heads, headDim, groups, state } = call;
  return heap.run((arena) => {
    const groupHeads = heads / groups;
    const taskHeads = Math.min(groupHeads, SUMMED_HEADS);
    const ranges = Math.ceil(groupHeads / taskHeads);
    const activations = batch * length * heads * headDim;
    const selective = batch * length * groups * state;
    const result = (size: number) => arena.result(size * ELEMENT);
    const ofD = wideD ? heads * headDim : heads;
    const gradients = {
      x: result(activations),
      dt: result(batch * length * heads),
      A: result(heads),
      B: result(selective),
      C: result(selective),
      ...(D && { D: result(ofD) }),
      ...(z && { z: result(activations) }),
      ...(dtBias && { dtBias: result(heads) }),
      ...(initialState && { initialState: result(batch * heads * headDim * state) }),
    };
    const dA = partialSums(arena, gradients.A, heads, batch);
    const dB = partialSums(arena, gradients.B, selective, ranges);
    const dC = partialSums(arena, gradients.C, selective, ranges);
    const dD = gradients.D && partialSums(arena, gradients.D, ofD, batch);
    const dDtBias = gradients.dtBias && partialSums(arena, gradients.dtBias, heads, batch);
    const part = arena.scratch(SSD_PART_BYTES).address;
    const bytes = wasm.ssdBackwardScratch(part, headDim, state, taskHeads, Number(wide), length);
    const scratch = threadScratch(arena, team, bytes);
    runCommands(
      heap,
      arena,
      team,
      {
        operation: 'ssdScanBackward',
        tasks: batch * groups * ranges,
        call: {
          ...ssdInputs(call),
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
          batch,
          dy: addressOf(dy),
          dLastState: addressOf(dLastState),
          dx: gradients.x.address,
          ddt: gradients.dt.address,
          dA: dA.parts,
          dB: dB.parts,
          dC: dC.parts,
          dD: dD?.parts ?? 0,
          dz: gradients.z?.address ?? 0,
          dDtBias: dDtBias?.parts ?? 0,
          dInitialState: gradients.initialState?.address ?? 0,
        },
      },
      ...[dA, dB, dC, dD, dDtBias].flatMap((sum) => sum?.commands ?? []),
    );
    return gradients;
  });
}
