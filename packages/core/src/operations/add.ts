import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * `y = a + b`; a, b and y have one shape and dtype.
 * @throws MambaError `invalid-argument` where shapes or dtypes differ.
 */
export interface AddCall<T> {
  readonly a: T;
  readonly b: T;
  readonly size: number;
}

export function resolveAdd<T extends TensorSpec>(a: T, b: T): { call: AddCall<T>; outputs: TensorSpec } {
  lastAxis('add.a', a);
  checkActivation('add.a', a);
  checkExact('add.b', b, a.shape, 'as a');
  checkDType('add.b', b, a.dtype);
  return { call: { a, b, size: sizeOf(a.shape) }, outputs: { shape: a.shape, dtype: a.dtype } };
}
