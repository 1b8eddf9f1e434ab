/** The memory of the backend. On a device, a storage is an address or a buffer; here it is the values themselves. */
import { MambaError } from '@mamba/core';
import type { DeviceTensor } from '@mamba/core/driver';

/** Floats are float32 and integers are int32, in the order of the shape. */
export type Storage = Float32Array | Int32Array;
export type Tensor = DeviceTensor<Storage>;

export class Memory {
  /** Bytes of all storages that were given out and not freed. */
  bytes = 0;

  /** Zeros, an array for each size. @throws MambaError `out-of-memory`; nothing is allocated then. */
  floats(...sizes: number[]): Float32Array[] {
    return this.#allocate(sizes, (size) => new Float32Array(size));
  }

  /** The same, for integers. */
  integers(...sizes: number[]): Int32Array[] {
    return this.#allocate(sizes, (size) => new Int32Array(size));
  }

  free({ byteLength }: Storage): void {
    this.bytes -= byteLength;
  }

  #allocate<S extends Storage>(sizes: readonly number[], allocate: (size: number) => S): S[] {
    try {
      const storages = sizes.map(allocate);
      for (const { byteLength } of storages) this.bytes += byteLength;
      return storages;
    } catch (cause) {
      throw new MambaError('out-of-memory', `memory for ${sizes.join(' and ')} values cannot be allocated`, {
        remedy: 'Dispose what is no longer needed, or use shorter inputs or smaller batches.',
        cause,
      });
    }
  }
}

/** The values of a tensor of floats, or undefined where the call has no such tensor. */
export function floatsOf(tensor: Tensor): Float32Array;
export function floatsOf(tensor: Tensor | undefined): Float32Array | undefined;
export function floatsOf(tensor: Tensor | undefined): Float32Array | undefined {
  return tensor?.storage as Float32Array | undefined;
}

/** The values of a tensor of int32, or undefined where the call has no such tensor. */
export function integersOf(tensor: Tensor): Int32Array;
export function integersOf(tensor: Tensor | undefined): Int32Array | undefined;
export function integersOf(tensor: Tensor | undefined): Int32Array | undefined {
  return tensor?.storage as Int32Array | undefined;
}
