/** What core asks of a backend: memory, and kernels. Core checks every call before a kernel gets it. */
import type { HostArray, HostTensor } from '@mamba/core';
import { copyFloats, type Driver, sizeOf, type UploadTarget } from '@mamba/core/driver';
import { kernelsIn } from './kernels/index.ts';
import { Memory, type Storage, type Tensor } from './memory.ts';

export function createDriver(name: string): Driver<Storage> {
  const memory = new Memory();
  return {
    name,
    description: 'plain loops in float32, 1 thread',
    details: { arithmetic: 'float32', threads: 1 },
    precision: 'float32',
    kernels: kernelsIn(memory),

    upload(host: HostTensor, { dtype }: UploadTarget): Storage {
      const size = sizeOf(host.shape);
      if (dtype === 'int32') {
        const [storage] = memory.integers(size);
        storage.set(host.data);
        return storage;
      }
      const [storage] = memory.floats(size);
      copyFloats(host, storage); // widens halves, and rounds float64
      return storage;
    },

    /** A copy, as the caller may write to what it reads. */
    read: async ({ storage }: Tensor): Promise<HostArray> => storage.slice(),
    free: (storage: Storage): void => memory.free(storage),
    /** The kernels here are done when they return. On a device, this waits for all that was sent there. */
    synchronize: async (): Promise<void> => {},
    memory: () => ({ bytes: memory.bytes, reserved: memory.bytes }),
    dispose: (): void => {},
  };
}
