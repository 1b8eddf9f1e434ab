import { type Backend, type HostTensor, type Precision, type Shape, sizeOf, type Tensor } from '@mamba/core';

/** A tensor of one value in the precision of the backend. */
export function filled(backend: Backend, shape: Shape, value: number): Tensor {
  return backend.upload(filledHost(backend.precision, shape, value));
}

/** The same on the host. */
export function filledHost(precision: Precision, shape: Shape, value: number): HostTensor {
  const size = sizeOf(shape);
  return precision === 'float64'
    ? { dtype: 'float64', shape, data: new Float64Array(size).fill(value) }
    : { dtype: 'float32', shape, data: new Float32Array(size).fill(value) };
}
