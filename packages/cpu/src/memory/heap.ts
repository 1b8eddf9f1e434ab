import { MambaError } from '@mamba/core';
import { Allocator, type Block } from './allocator.ts';

/** What a kernel may ask for while it runs. */
export interface Arena {
  /** A result: stays when the kernel returns, freed when it throws. */
  result(bytes: number): Block;
  /** Freed on every way out. */
  scratch(bytes: number): Block;
}

/** The backend's one WebAssembly memory: it grows on demand, and never shrinks, for WebAssembly cannot. */
export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly #allocator: Allocator;

  /** `start` is the first address that the module leaves free. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#allocator = new Allocator(start, (end) => extend(memory, end));
  }

  get used(): number {
    return this.#allocator.used;
  }

  get reserved(): number {
    return this.memory.buffer.byteLength;
  }

  /** @throws MambaError `out-of-memory` */
  allocate(bytes: number): Block {
    const block = this.#allocator.allocate(bytes);
    if (block === undefined) throw this.#exhausted(bytes);
    return block;
  }

  run<R>(body: (arena: Arena) => R): R {
    const results: Block[] = [];
    const scratch: Block[] = [];
    const take = (list: Block[]) => (bytes: number) => {
      const block = this.allocate(bytes);
      list.push(block);
      return block;
    };
    try {
      return body({ result: take(results), scratch: take(scratch) });
    } catch (error) {
      for (const block of results) block.free();
      throw error;
    } finally {
      for (const block of scratch) block.free();
    }
  }

  /** Views are made anew for each use, since growth detaches the buffer. */
  floats(block: Block, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, block.address, length);
  }

  integers(block: Block, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, block.address, length);
  }

  halves(block: Block, length: number): Uint16Array {
    return new Uint16Array(this.memory.buffer, block.address, length);
  }

  bytes(block: Block, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, block.address, length);
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
/** 4 GiB, less a page so that no end address wraps to 0. */
export const MAX_PAGES = 65536;
export const LIMIT = (MAX_PAGES - 1) * PAGE;

/** Grows by an eighth at least, so that many small requests do not mean many growths. */
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
