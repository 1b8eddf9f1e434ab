import type { MultiplyGradients } from '@mamba/core';
import type { DeviceTensor, MultiplyBackwardCall } from '@mamba/core/driver';
import { multiplyBackward as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { ACTIVATIONS } from './multiply.ts';

export function multiplyBackward(
  gpu: Gpu,
  { a, b, dy, activation, scale, size }: MultiplyBackwardCall<DeviceTensor<Storage>>,
): MultiplyGradients<Storage> {
  return gpu.allocating((allocator) => {
    const da = allocator.result(4 * size, 'multiply-backward a');
    const db = b && allocator.result(4 * size, 'multiply-backward b');
    const quads = Math.ceil(size / 4);
    gpu.dispatch(shader, {
      overrides: { ACTIVATION: ACTIVATIONS[activation], PRODUCT: b !== undefined },
      bindings: {
        a: rangeOf(a),
        b: b ? rangeOf(b) : gpu.unusedInput,
        dy: rangeOf(dy),
        da: wholeRange(da),
        db: db ? wholeRange(db) : gpu.unusedOutput,
      },
      uniforms: { quads, scale },
      workgroups: gpu.grid(Math.ceil(quads / 256)),
    });
    return { a: unsplitStorage(da), ...(db && { b: unsplitStorage(db) }) };
  });
}
