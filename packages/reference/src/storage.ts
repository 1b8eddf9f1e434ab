import { MambaError } from '@mamba/core';
import type { DeviceTensor } from '@mamba/core/driver';

/** The storage of a tensor: float tensors are float64, integer tensors int32. */
export type Storage = Float64Array | Int32Array;
export type Input = DeviceTensor<Storage>;

/** The values of a float tensor, as core has checked. */
export function floats(tensor: Input): Float64Array;
export function floats(tensor: Input | undefined): Float64Array | undefined;
export function floats(tensor: Input | undefined): Float64Array | undefined {
  return tensor?.storage as Float64Array | undefined;
}

/** The values of an int32 tensor, as core has checked. */
export function integers(tensor: Input): Int32Array;
export function integers(tensor: Input | undefined): Int32Array | undefined;
export function integers(tensor: Input | undefined): Int32Array | undefined {
  return tensor?.storage as Int32Array | undefined;
}

/** Zeros. @throws MambaError `out-of-memory` */
export function newFloats(size: number): Float64Array {
  return allocating(size * 8, () => new Float64Array(size));
}

/** Zeros. @throws MambaError `out-of-memory` */
export function newIntegers(size: number): Int32Array {
  return allocating(size * 4, () => new Int32Array(size));
}

/** Runs an allocation, and throws `out-of-memory` in place of the engine's RangeError. */
export function allocating<R>(bytes: number, allocate: () => R): R {
  try {
    return allocate();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new MambaError('out-of-memory', `${bytes} bytes cannot be allocated`, {
      origin: 'reference',
      given: `${bytes} bytes`,
      expected: 'a size that the JavaScript engine can give',
      remedy: 'Split the work into shorter chunks or smaller batches, or dispose tensors that are no longer needed.',
      cause,
    });
  }
}
