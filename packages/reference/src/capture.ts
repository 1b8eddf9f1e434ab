import type { HostTensor } from '@mamba/core';
import { type CapturedKernels, copyFloats } from '@mamba/core/driver';
import type { Storage } from './storage.ts';

/** What a kernel returns: one storage or several, and nothing for an update. */
export type Result = Storage | Readonly<Record<string, Storage>> | undefined;

/** Kernel calls that are made again in order, each into the storages that it gave the first time. */
export class Capture implements CapturedKernels {
  readonly #inputs: readonly Storage[];
  readonly #storages = new Set<Storage>();
  readonly #calls: (() => void)[] = [];
  readonly #free: (storage: Storage) => void;

  constructor(inputs: readonly Storage[], free: (storage: Storage) => void) {
    this.#inputs = inputs;
    this.#free = free;
    for (const storage of inputs) this.add(storage);
  }

  get bytes(): number {
    let bytes = 0;
    for (const { byteLength } of this.#storages) bytes += byteLength;
    return bytes;
  }

  /** Adds a storage that lives until the capture is disposed. */
  add(storage: Storage): void {
    this.#storages.add(storage);
  }

  has(storage: Storage): boolean {
    return this.#storages.has(storage);
  }

  /**
   * Notes a call. It is made once for the sizes of its results, unless it is an update, which has none and must not
   * write yet.
   */
  note(call: () => Result, isUpdate: boolean): Result {
    if (isUpdate) {
      this.#calls.push(call);
      return undefined;
    }
    const result = call();
    const targets = storagesOf(result);
    this.#calls.push(() => {
      for (const [index, values] of storagesOf(call()).entries()) targets[index]!.set(values);
    });
    return result;
  }

  replay(hosts: readonly HostTensor[]): void {
    for (const [index, host] of hosts.entries()) {
      const storage = this.#inputs[index]!;
      if (host.dtype === 'int32') storage.set(host.data);
      else copyFloats(host, storage as Float64Array);
    }
    for (const call of this.#calls) call();
  }

  dispose(): void {
    const storages = [...this.#storages];
    this.#storages.clear();
    this.#calls.length = 0;
    for (const storage of storages) this.#free(storage);
  }
}

export function storagesOf(result: Result): readonly Storage[] {
  if (result === undefined) return [];
  return ArrayBuffer.isView(result) ? [result] : Object.values(result);
}
