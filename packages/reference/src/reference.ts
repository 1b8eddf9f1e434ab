import type { BackendProvider, HostArray, HostTensor } from '@mamba/core';
import {
  copyFloats,
  createBackend,
  type DeviceTensor,
  type Driver,
  type Kernels,
  sizeOf,
  type UploadTarget,
} from '@mamba/core/driver';
import { kernels } from './operations/index.ts';
import { allocating, newFloats, newIntegers, type Storage } from './storage.ts';

/**
 * The reference backend: float64 in plain loops on one thread, with every operation and every backward pass. It is slow
 * and runs everywhere. Uploads widen floats of any dtype; tensors are stored as float64 or int32.
 */
export function reference(): BackendProvider {
  return { name: 'reference', create: async () => createBackend(new ReferenceDriver()) };
}

class ReferenceDriver implements Driver<Storage> {
  readonly name = 'reference';
  readonly description = 'float64 in plain loops, 1 thread';
  readonly details = { arithmetic: 'float64', threads: 1 };
  readonly precision = 'float64';
  readonly kernels: Kernels<Storage> = mapKernels(kernels, (storage) => this.#count(storage));
  #bytes = 0;

  upload(host: HostTensor, { dtype }: UploadTarget): Storage {
    const size = sizeOf(host.shape);
    if (dtype === 'int32') {
      const storage = newIntegers(size);
      storage.set(host.data);
      return this.#count(storage);
    }
    const storage = newFloats(size);
    copyFloats(host, storage);
    return this.#count(storage);
  }

  async read({ storage }: DeviceTensor<Storage>): Promise<HostArray> {
    return allocating(storage.byteLength, () => storage.slice());
  }

  free(storage: Storage): void {
    this.#bytes -= storage.byteLength;
  }

  async synchronize(): Promise<void> {}

  memory(): { bytes: number; reserved: number } {
    return { bytes: this.#bytes, reserved: this.#bytes };
  }

  dispose(): void {}

  #count(storage: Storage): Storage {
    this.#bytes += storage.byteLength;
    return storage;
  }
}

/**
 * The kernels, with their results counted once they are complete. A kernel that throws has counted nothing, and its
 * arrays are garbage.
 */
function mapKernels(plain: Kernels<Storage>, count: (storage: Storage) => Storage): Kernels<Storage> {
  const counted = Object.entries(plain).map(([name, kernel]) => [
    name,
    (call: never) => {
      const result: Storage | Record<string, Storage> | undefined = (kernel as (call: never) => typeof result)(call);
      if (result === undefined) return;
      for (const storage of ArrayBuffer.isView(result) ? [result] : Object.values(result)) count(storage);
      return result;
    },
  ]);
  return Object.fromEntries(counted) as Kernels<Storage>;
}
