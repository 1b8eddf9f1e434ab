import type { GatedRmsNormGradients } from '@mamba/core';
import type { DeviceTensor, GatedRmsNormBackwardCall, GatedRmsNormCall } from '@mamba/core/driver';
import { gatedRmsNormBackward as backward, gatedRmsNorm as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';

export function gatedRmsNorm(gpu: Gpu, call: GatedRmsNormCall<DeviceTensor<Storage>>): Storage {
  const { z, weight, eps, normBeforeGate, rows, channels, groupSize } = call;
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows * channels, 'gated-rms-norm');
    normaliseGated(gpu, {
      x: rangeOf(call.x),
      z: z && { range: rangeOf(z), row: channels, offset: 0 },
      weight: weight && rangeOf(weight),
      y: wholeRange(y),
      rows,
      channels,
      groupSize,
      eps,
      normBeforeGate,
    });
    return unsplitStorage(y);
  });
}

export interface GatedNormalisation {
  /** Dense. */
  readonly x: BufferRange;
  readonly z: { readonly range: BufferRange; readonly row: number; readonly offset: number } | undefined;
  readonly weight: BufferRange | undefined;
  readonly y: BufferRange;
  readonly rows: number;
  readonly channels: number;
  readonly groupSize: number;
  readonly eps: number;
  readonly normBeforeGate: boolean;
}

function normaliseGated(gpu: Gpu, call: GatedNormalisation): void {
  const { x, z, weight, y, rows, channels, groupSize, eps } = call;
  gpu.dispatch(shader, {
    overrides: overridesOf(gpu, call),
    bindings: { x, z: z?.range ?? gpu.unusedInput, weight: weight ?? gpu.unusedInput, y },
    uniforms: { rows, channels, groupSize, zRow: z?.row ?? 0, zOffset: z?.offset ?? 0, eps },
    workgroups: gpu.grid(rows * (channels / groupSize)),
  });
}

function overridesOf(
  gpu: Gpu,
  call: { z: unknown; weight: unknown; groupSize: number; normBeforeGate: boolean },
): Readonly<Record<'WORKGROUP' | 'WEIGHT' | 'GATE' | 'NORM_FIRST', number | boolean>> {
  return {
    WORKGROUP: rowWorkgroup(gpu, call.groupSize),
    WEIGHT: call.weight !== undefined,
    GATE: call.z !== undefined,
    NORM_FIRST: call.normBeforeGate,
  };
}

export function gatedRmsNormBackward(
  gpu: Gpu,
  call: GatedRmsNormBackwardCall<DeviceTensor<Storage>>,
): GatedRmsNormGradients<Storage> {
  const { x, z, weight, dy, eps, rows, channels, groupSize } = call;
  return gpu.allocating((allocator) => {
    const bytes = 4 * rows * channels;
    const dx = allocator.result(bytes, 'gated-rms-norm-backward x');
    const dz = z && allocator.result(bytes, 'gated-rms-norm-backward z');
    const dWeight = weight && allocator.result(4 * channels, 'gated-rms-norm-backward weight');
    const unused = wholeRange(allocator.scratch(16, 'gated-rms-norm-backward unused'));
    const scaled = weight ? wholeRange(allocator.scratch(bytes, 'gated-rms-norm-backward sums')) : unused;
    gpu.dispatch(backward, {
      overrides: overridesOf(gpu, call),
      bindings: {
        x: rangeOf(x),
        z: z ? rangeOf(z) : gpu.unusedInput,
        weight: weight ? rangeOf(weight) : gpu.unusedInput,
        dy: rangeOf(dy),
        dx: wholeRange(dx),
        dz: dz ? wholeRange(dz) : gpu.unusedOutput,
        scaled,
      },
      uniforms: { rows, channels, groupSize, eps },
      workgroups: gpu.grid(rows * (channels / groupSize)),
    });
    if (dWeight) sumColumns(gpu, { x: scaled, rows, columns: channels }, wholeRange(dWeight));
    return {
      x: unsplitStorage(dx),
      ...(dz && { z: unsplitStorage(dz) }),
      ...(dWeight && { weight: unsplitStorage(dWeight) }),
    };
  });
}
