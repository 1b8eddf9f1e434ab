import { MambaError } from '@mamba/core';
import { type Allocation, Allocator } from './allocator.ts';

/** The memory that an operation may ask for while it runs. */
export interface Arena {
  /** Memory for a result: it stays when the operation returns, and is freed when it throws. */
  result(bytes: number): Allocation;
  /** Memory that is freed when the operation returns or throws. */
  scratch(bytes: number): Allocation;
}

/** The backend's one WebAssembly memory. It grows on demand and never shrinks, since WebAssembly memories cannot. */
export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly #allocator: Allocator;

  /** `start` is the first address that the module does not use itself. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#allocator = new Allocator(start, (end) => extend(memory, end));
  }

  get used(): number {
    return this.#allocator.used;
  }

  /** As `Allocator.watch`. */
  watch(): () => number {
    return this.#allocator.watch();
  }

  get reserved(): number {
    return this.memory.buffer.byteLength;
  }

  /** @throws MambaError `out-of-memory` */
  allocate(bytes: number): Allocation {
    const allocation = this.#allocator.allocate(bytes);
    if (allocation === undefined) throw this.#exhausted(bytes);
    return allocation;
  }

  run<R>(body: (arena: Arena) => R): R {
    const results: Allocation[] = [];
    const scratch: Allocation[] = [];
    const take = (list: Allocation[]) => (bytes: number) => {
      const allocation = this.allocate(bytes);
      list.push(allocation);
      return allocation;
    };
    try {
      return body({ result: take(results), scratch: take(scratch) });
    } catch (error) {
      for (const allocation of results) allocation.free();
      throw error;
    } finally {
      for (const allocation of scratch) allocation.free();
    }
  }

  /** A view of an allocation. It is made anew for each use, since growth detaches the buffer; so are those below. */
  floats(allocation: Allocation, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, allocation.address, length);
  }

  integers(allocation: Allocation, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, allocation.address, length);
  }

  halves(allocation: Allocation, length: number): Uint16Array {
    return new Uint16Array(this.memory.buffer, allocation.address, length);
  }

  bytes(allocation: Allocation, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, allocation.address, length);
  }

  #exhausted(bytes: number): MambaError {
    return new MambaError('out-of-memory', 'the memory of the cpu backend is exhausted', {
      origin: 'cpu',
      given: `a request for ${mebibytes(bytes)} with ${mebibytes(this.used)} in use`,
      expected: `at most 4096 MiB in all, the limit of 32-bit WebAssembly, of which this engine granted ${mebibytes(this.reserved)}`,
      remedy:
        'Dispose tensors that are done with, run fewer rows or shorter chunks, or take a smaller model or another backend.',
    });
  }
}

const PAGE = 65536;
/** 4 GiB, the most that 32-bit WebAssembly addresses. */
export const MAX_PAGES = 65536;
/** The bytes that allocations may take: one page less, so that no end address wraps to 0. */
export const LIMIT = (MAX_PAGES - 1) * PAGE;

/** Grows the memory by an eighth at least, so that many small requests do not mean many growths. */
function extend(memory: WebAssembly.Memory, end: number): boolean {
  const current = memory.buffer.byteLength;
  if (end <= current) return true;
  if (end > LIMIT) return false;
  const wanted = Math.min(LIMIT, Math.max(end, current + current / 8));
  return grow(memory, wanted - current) || grow(memory, end - current);
}

function grow(memory: WebAssembly.Memory, bytes: number): boolean {
  try {
    memory.grow(Math.ceil(bytes / PAGE));
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function mebibytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes} bytes` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
