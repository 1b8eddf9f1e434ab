import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import type { SetOptions, Store } from './store.ts';

/** What bounds a store in process. */
export interface MemoryStoreOptions {
  /** Bytes of all values and keys together; those that were not used for longest are dropped first. Default 256 MiB. */
  readonly maxBytes?: number | undefined;
  /** The time in milliseconds. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** A store in this process: nothing of it is left when the process ends. */
export class MemoryStore implements Store {
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  /** @throws MambaError `invalid-argument` */
  constructor(options: MemoryStoreOptions = {}) {
    checkOptions('MemoryStore', options, ['maxBytes', 'now']);
    const { maxBytes = 2 ** 28, now = Date.now } = options;
    checkInteger('MemoryStore.maxBytes', maxBytes, 0);
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /** Bytes of all values and keys. */
  get bytes(): number {
    return this.#bytes;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#live(key)?.value.slice();
  }

  async set(key: string, value: Uint8Array, { ttlMs, ifAbsent = false }: SetOptions): Promise<boolean> {
    if (ifAbsent && this.#live(key) !== undefined) return false;
    this.#put(key, value.slice(), this.#now() + ttlMs);
    return true;
  }

  async extend(key: string, value: Uint8Array, ttlMs: number): Promise<boolean> {
    const held = this.#live(key)?.value;
    if (held === undefined || !sameBytes(held, value)) return false;
    this.#put(key, held, this.#now() + ttlMs);
    return true;
  }

  async delete(key: string, value?: Uint8Array): Promise<boolean> {
    const held = this.#live(key)?.value;
    if (held === undefined || (value !== undefined && !sameBytes(held, value))) return false;
    this.#drop(key);
    return true;
  }

  async add(key: string, amount: number, ttlMs: number): Promise<number> {
    const held = this.#live(key);
    const sum = (held === undefined ? 0 : Number(new TextDecoder().decode(held.value))) + amount;
    this.#put(key, new TextEncoder().encode(String(sum)), held?.end ?? this.#now() + ttlMs);
    return sum;
  }

  async close(): Promise<void> {}

  /** The entry, which becomes the most recently used; undefined if its time is over. */
  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.end > this.#now()) {
      this.#entries.set(key, entry);
      return entry;
    }
    this.#bytes -= sizeOf(key, entry);
    return undefined;
  }

  #put(key: string, value: Uint8Array, end: number): void {
    this.#drop(key);
    const entry = { value, end };
    this.#entries.set(key, entry);
    this.#bytes += sizeOf(key, entry);
    if (this.#bytes <= this.#maxBytes) return;
    const now = this.#now();
    for (const [old, { end }] of this.#entries) if (end <= now) this.#drop(old);
    for (const old of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(old);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(key, entry);
  }
}

interface Entry {
  readonly value: Uint8Array;
  /** When it is forgotten. */
  readonly end: number;
}

function sizeOf(key: string, { value }: Entry): number {
  return value.length + 2 * key.length;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
