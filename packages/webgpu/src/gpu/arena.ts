import type { BufferPool, PooledBuffer } from './buffer-pool.ts';
import type { Source } from './gpu.ts';

/** A free buffer that is at most so many times as large as is asked for is taken. */
const SLACK = 2;
/** Buffers up to this size are taken for any smaller one. */
const SMALL = 1 << 16;

/**
 * The memory of a plan, which is the plan's own while it lives: a plan names its buffers, so nobody else may have them.
 * The plan's calls share it, since they run one after another, and in the same order each time.
 */
export class Arena implements Source {
  readonly #pool: BufferPool;
  readonly #owners: Map<GPUBuffer, Arena> | undefined;
  /** The bytes of each buffer of the pool that the plan has. */
  readonly #sizes = new Map<GPUBuffer, number>();
  /** The buffers that later calls may have, the smallest first. */
  readonly #free: PooledBuffer[] = [];
  readonly #constants = new Set<GPUBuffer>();
  /** Buffers that no later call may have, since the host writes them once. */
  readonly constants: Source = {
    take: (bytes, label) => {
      const taken = this.#own(bytes, label);
      this.#constants.add(taken.buffer);
      return taken;
    },
    give() {},
  };

  /** @param owners A map from buffers to their arenas, in which this one enters its own. */
  constructor(pool: BufferPool, owners?: Map<GPUBuffer, Arena>) {
    this.#pool = pool;
    this.#owners = owners;
  }

  get bytes(): number {
    let bytes = 0;
    for (const size of this.#sizes.values()) bytes += size;
    return bytes;
  }

  take(bytes: number, label: string): PooledBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const index = this.#free.findIndex((free) => free.size >= size);
    const found = this.#free[index];
    if (found === undefined || found.size > Math.max(SLACK * size, SMALL)) return this.#own(bytes, label);
    this.#free.splice(index, 1);
    return { buffer: found.buffer, size };
  }

  give({ buffer }: PooledBuffer): void {
    const size = this.#sizes.get(buffer);
    if (size === undefined || this.#constants.has(buffer)) return;
    const after = this.#free.findIndex((free) => free.size >= size);
    this.#free.splice(after < 0 ? this.#free.length : after, 0, { buffer, size });
  }

  dispose(): void {
    for (const [buffer, size] of this.#sizes) {
      this.#owners?.delete(buffer);
      this.#pool.give({ buffer, size });
    }
    this.#sizes.clear();
    this.#free.length = 0;
  }

  #own(bytes: number, label: string): PooledBuffer {
    const taken = this.#pool.take(bytes, label);
    this.#sizes.set(taken.buffer, taken.size);
    this.#owners?.set(taken.buffer, this);
    return taken;
  }
}
