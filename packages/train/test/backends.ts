import type { Backend, HostTensor, Tensor } from '@mamba/core';
import type { Random } from '../src/random.ts';

/** Normal numbers of a seed, as float64. */
export function normals(
  random: Random,
  shape: readonly number[],
  scale = 1,
): HostTensor & { readonly dtype: 'float64' } {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { dtype: 'float64', shape, data: Float64Array.from({ length: size }, () => scale * random.normal()) };
}

/** The sum of a tensor's values times those of another. */
export async function dot(backend: Backend, x: Tensor, by: HostTensor): Promise<number> {
  const values = await backend.read(x);
  return Array.from(values).reduce((sum, value, index) => sum + value * by.data[index]!, 0);
}
