/** Makes host tensors. */
import { type HostTensor, type Shape, sizeOf } from '@mamba/core';
import type { Random } from '../random.ts';

/** A float32 tensor, filled in order. `value` is called once for each element. */
export function floats(shape: Shape, value: (index: number) => number): HostTensor & { readonly dtype: 'float32' } {
  const data = new Float32Array(sizeOf(shape));
  for (let index = 0; index < data.length; index++) data[index] = value(index);
  return { dtype: 'float32', shape, data };
}

export function normals(random: Random, shape: Shape, scale = 1, mean = 0): HostTensor & { readonly dtype: 'float32' } {
  return floats(shape, () => mean + scale * random.normal());
}

export function integers(shape: Shape, value: (index: number) => number): HostTensor & { readonly dtype: 'int32' } {
  const data = new Int32Array(sizeOf(shape));
  for (let index = 0; index < data.length; index++) data[index] = value(index);
  return { dtype: 'int32', shape, data };
}

/**
 * Reset marks `[batch, length]`. The first row has one at its first step, so that its initial state must not matter; of
 * the other steps, one in seven has one at random. Marks are 1 or -3.
 */
export function resetMarks(random: Random, batch: number, length: number): HostTensor & { readonly dtype: 'int32' } {
  return integers([batch, length], (index) => {
    const drawn = random.uniform();
    if (index === 0) return 1;
    return drawn < 1 / 7 ? (drawn < 1 / 14 ? -3 : 1) : 0;
  });
}

/** The leading extents of a tensor: a list of them, or their product as one extent. */
export function leadingExtents(rows: number | Shape): Shape {
  return typeof rows === 'number' ? [rows] : rows;
}
