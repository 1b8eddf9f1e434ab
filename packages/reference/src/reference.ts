import type { BackendProvider, HostArray, HostTensor, TensorSpec } from '@mamba/core';
import {
  copyFloats,
  createBackend,
  type DeviceTensor,
  type Driver,
  type Kernels,
  sizeOf,
  type UploadTarget,
} from '@mamba/core/driver';
import { Capture, type Result, storagesOf } from './capture.ts';
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
  readonly kernels: Kernels<Storage> = mapKernels(kernels, (storage) => this.#count(storage), this);
  /** The capture whose function runs. */
  capturing: Capture | undefined;
  readonly #captures = new Set<Capture>();
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
    for (const capture of this.#captures) if (capture.has(storage)) return;
    this.#bytes -= storage.byteLength;
  }

  async synchronize(): Promise<void> {}

  capture(specs: readonly TensorSpec[], body: (inputs: readonly Storage[]) => void): Capture {
    const inputs = specs.map(({ shape, dtype }) =>
      this.#count(dtype === 'int32' ? newIntegers(sizeOf(shape)) : newFloats(sizeOf(shape))),
    );
    const capture: Capture = new Capture(inputs, (storage) => {
      this.#captures.delete(capture);
      this.free(storage);
    });
    this.#captures.add(capture);
    this.capturing = capture;
    try {
      body(inputs);
    } catch (error) {
      capture.dispose();
      throw error;
    } finally {
      this.capturing = undefined;
    }
    return capture;
  }

  memory(): { bytes: number; reserved: number } {
    return { bytes: this.#bytes, reserved: this.#bytes };
  }

  dispose(): void {}

  #count(storage: Storage): Storage {
    this.capturing?.add(storage);
    this.#bytes += storage.byteLength;
    return storage;
  }
}

/**
 * The kernels, with their results counted once they are complete. A kernel that throws has counted nothing, and its
 * arrays are garbage. While a function is captured, the calls are noted.
 */
function mapKernels(
  plain: Kernels<Storage>,
  count: (storage: Storage) => Storage,
  driver: { readonly capturing: Capture | undefined },
): Kernels<Storage> {
  const counted = Object.entries(plain).map(([name, kernel]) => [
    name,
    (call: never) => {
      const run = () => (kernel as (call: never) => Result)(call);
      const { capturing } = driver;
      const result = capturing === undefined ? run() : capturing.note(run, name === 'adamw');
      for (const storage of storagesOf(result)) count(storage);
      return result;
    },
  ]);
  return Object.fromEntries(counted) as Kernels<Storage>;
}
