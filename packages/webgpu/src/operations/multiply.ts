import type { Activation } from '@mamba/core';
import type { DeviceTensor, MultiplyCall } from '@mamba/core/driver';
import { multiply as shader } from '../generated/index.ts';
import { type Gpu, whole } from '../gpu/gpu.ts';
import { plainStorage, rangeOf, type Storage } from '../storage.ts';

/** ACTIVATION of the shader. */
const ACTIVATIONS = { none: 0, silu: 1, gelu: 2, 'gelu-tanh': 3, relu2: 4 } as const satisfies Record<
  Activation,
  number
>;

export function multiply(gpu: Gpu, { a, b, activation, scale, size }: MultiplyCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * size, 'multiply');
    const quads = Math.ceil(size / 4);
    gpu.dispatch(shader, {
      overrides: { ACTIVATION: ACTIVATIONS[activation], PRODUCT: b !== undefined },
      bindings: { a: rangeOf(a), b: b === undefined ? gpu.nothing : rangeOf(b), y: whole(y) },
      uniforms: { quads, scale },
      workgroups: gpu.grid(Math.ceil(quads / 256)),
    });
    return plainStorage(y);
  });
}
