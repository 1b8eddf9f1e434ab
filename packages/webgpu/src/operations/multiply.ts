import type { Activation } from '@mamba/core';
import type { DeviceTensor, MultiplyCall } from '@mamba/core/driver';
import { multiply as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** The numbers of activations, for ACTIVATION of the shader. */
export const ACTIVATIONS = {
  none: 0,
  silu: 1,
  gelu: 2,
  'gelu-tanh': 3,
  relu2: 4,
  exp: 5,
  sigmoid: 6,
  tanh: 7,
  'elu-plus-one': 8,
  reciprocal: 9,
} as const satisfies Record<Activation, number>;

export function multiply(gpu: Gpu, { a, b, activation, scale, size }: MultiplyCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * size, 'multiply');
    activate(gpu, { a: rangeOf(a), b: b && rangeOf(b), y: wholeRange(y), activation, scale, size });
    return unsplitStorage(y);
  });
}

export interface Activating {
  readonly a: BufferRange;
  /** The factor of the activated a, beside the scale. */
  readonly b: BufferRange | undefined;
  /** Must be neither a nor b. */
  readonly y: BufferRange;
  readonly activation: Activation;
  readonly scale: number;
  readonly size: number;
}

export function activate(gpu: Gpu, { a, b, y, activation, scale, size }: Activating): void {
  const quads = Math.ceil(size / 4);
  gpu.dispatch(shader, {
    overrides: { ACTIVATION: ACTIVATIONS[activation], PRODUCT: b !== undefined },
    bindings: { a, b: b ?? gpu.unusedInput, y },
    uniforms: { quads, scale },
    workgroups: gpu.grid(Math.ceil(quads / 256)),
  });
}
