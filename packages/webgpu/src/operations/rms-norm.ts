import type { DeviceTensor, RmsNormCall } from '@mamba/core/driver';
import { rmsNorm as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { Stored } from './stored.ts';

export function rmsNorm(gpu: Gpu, { x, weight, eps, rows, channels }: RmsNormCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows * channels, 'rms-norm');
    normalise(gpu, {
      x: rangeOf(x),
      weight: weight && rangeOf(weight),
      y: wholeRange(y),
      rows,
      channels,
      xRow: channels,
      xOffset: 0,
      eps,
    });
    return unsplitStorage(y);
  });
}

export interface Normalisation {
  readonly x: BufferRange;
  readonly weight: BufferRange | undefined;
  readonly y: BufferRange;
  readonly rows: number;
  readonly channels: number;
  readonly xRow: number;
  readonly xOffset: number;
  readonly eps: number;
  /** How y is stored; floats by default. */
  readonly stored?: Stored | undefined;
}

export function normalise(gpu: Gpu, call: Normalisation): void {
  const { x, weight, y, rows, channels, xRow, xOffset, eps, stored = 'floats' } = call;
  gpu.dispatch(shader, {
    link: stored,
    overrides: { WORKGROUP: rowWorkgroup(gpu, channels), WEIGHT: weight !== undefined },
    bindings: { x, weight: weight ?? gpu.unusedInput, y },
    uniforms: { rows, channels, xRow, xOffset, eps },
    workgroups: gpu.grid(rows),
  });
}
