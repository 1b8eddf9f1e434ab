import { type Backend, type Shape, sizeOf, type Tensor } from '@mamba/core';

/** A tensor of one value in the precision of the backend. */
export function filled(backend: Backend, shape: Shape, value: number): Tensor {
  const size = sizeOf(shape);
  return backend.upload(
    backend.precision === 'float64'
      ? { dtype: 'float64', shape, data: new Float64Array(size).fill(value) }
      : { dtype: 'float32', shape, data: new Float32Array(size).fill(value) },
  );
}
