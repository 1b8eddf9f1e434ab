import { MambaError } from '@mamba/core';
import type { Failures } from './failures.ts';
import { USAGE } from './usage.ts';

/** A buffer with the size that was asked for; its GPUBuffer may be larger. */
export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  /** Bytes asked for, rounded up to 16 so that the buffer can be bound as vec4s. */
  readonly size: number;
}

export interface PoolOptions {
  /** Bytes of the largest buffer that the device can make. */
  readonly largest: number;
  /** Bytes of free buffers that are kept beyond the recent peak of use. */
  readonly spareBytes?: number | undefined;
  /**
   * Submits recorded work. It is called before a buffer is destroyed, since recorded work may name buffers that were
   * given back.
   */
  readonly flush: () => void;
  /** Called after buffers were destroyed. */
  readonly onDestroy: () => void;
}

const SPARE = 256 << 20;
/**
 * Number of `take` calls after which peaks of use are counted afresh, so that a disposed model does not keep its
 * memory for ever. A training step of a large model takes some 2,000 buffers.
 */
const WINDOW = 8192;

/**
 * Storage buffers by size class. Work is ordered on the queue, so a buffer may be given out again as soon as the calls
 * that use it are recorded. Fresh memory is expensive, since the device clears it, so buffers in steady use are kept:
 * all buffers together stay within the recent peak of use plus a spare, and beyond that the free ones that were given
 * back first are destroyed. Where classes repeat their own peaks from window to window, those peaks count one by one,
 * up to twice the common one: a training step needs activations and gradients at different times, and within the common
 * peak they would take turns at being destroyed.
 *
 * Of the free buffers of a class the oldest is given out. Calls that repeat thus get the same buffers again, and the
 * recorder finds the bind groups that it made for them.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #options: PoolOptions;
  /** The free buffers of each class, the oldest last. */
  readonly #free = new Map<number, Held[]>();
  #count = 0;
  /** All free buffers, in the order in which they were given back. */
  readonly #order = new Set<Held>();
  readonly #live = new Map<GPUBuffer, Held>();
  #bytes = 0;
  #retained = 0;
  #taken = 0;
  /** The most bytes that were given out, in this window and in the one before. */
  #most = 0;
  #mostBefore = 0;
  /** The most bytes that were given out at once since the last `watch` began. */
  #watched = 0;
  /** The use of each class, by its capacity in bytes. */
  readonly #uses = new Map<number, Use>();
  /** The sum over classes of what each used at its peak, in this window and in the one before, in bytes. */
  #steady = 0;

  constructor(device: GPUDevice, failures: Failures, options: PoolOptions) {
    this.#device = device;
    this.#failures = failures;
    this.#options = options;
  }

  /** Buffers given out. */
  get live(): number {
    return this.#live.size;
  }

  /** Bytes of buffers given out. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes held, free buffers included. */
  get reserved(): number {
    return this.#bytes + this.#retained;
  }

  /**
   * @throws MambaError `out-of-memory` beyond the device's largest buffer; what the device itself reports comes with
   * the next read.
   */
  take(bytes: number, label: string): PooledBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const { largest } = this.#options;
    if (size > largest) {
      throw new MambaError('out-of-memory', `${label} of ${size} bytes is larger than a buffer can be`, {
        origin: label,
        given: `${size} bytes`,
        expected: `at most ${largest}`,
        remedy: 'Take a smaller chunk or batch.',
      });
    }
    const capacity = Math.min(sizeClass(size), largest);
    const known = this.#free.get(capacity)?.pop();
    if (known !== undefined) {
      this.#order.delete(known);
      this.#retained -= capacity;
    }
    this.#countUse(capacity);
    // Free buffers are destroyed before new memory is asked for.
    if (known === undefined) this.#trim(capacity);
    const held = known ?? this.#create(capacity, label);
    this.#bytes += capacity;
    this.#watched = Math.max(this.#watched, this.#bytes);
    this.#live.set(held.buffer, held);
    return { buffer: held.buffer, size };
  }

  /** Begins to count the most bytes given out at once; the function that it returns ends that and tells them. */
  watch(): () => number {
    const outer = this.#watched;
    this.#watched = this.#bytes;
    return () => {
      const most = this.#watched;
      this.#watched = Math.max(outer, most);
      return most;
    };
  }

  give({ buffer }: PooledBuffer): void {
    const held = this.#live.get(buffer);
    if (held === undefined) return;
    const { capacity } = held;
    this.#live.delete(buffer);
    this.#bytes -= capacity;
    this.#uses.get(capacity)!.live--;
    if (held.failed) return;
    this.#retained += capacity;
    this.#order.add(held);
    const list = this.#free.get(capacity);
    if (list === undefined) this.#free.set(capacity, [held]);
    else list.splice(placeOf(list, held), 0, held);
    this.#trim(0);
  }

  /** Destroys every buffer, given out or not. */
  dispose(): void {
    for (const { buffer } of this.#order) buffer.destroy();
    for (const buffer of this.#live.keys()) buffer.destroy();
    this.#free.clear();
    this.#order.clear();
    this.#live.clear();
    this.#bytes = 0;
    this.#retained = 0;
  }

  #create(capacity: number, label: string): Held {
    const buffer = this.#failures.watch(
      `a buffer of ${capacity} bytes (${label})`,
      () =>
        this.#device.createBuffer({
          label: `pooled, ${capacity} bytes`,
          size: capacity,
          usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST,
        }),
      () => {
        held.failed = true;
        if (this.#order.has(held)) this.#forget(held);
      },
    );
    const held = { buffer, capacity, made: this.#count++, failed: false };
    return held;
  }

  #forget(held: Held): void {
    const list = this.#free.get(held.capacity)!;
    list.splice(list.indexOf(held), 1);
    this.#order.delete(held);
    this.#retained -= held.capacity;
  }

  #countUse(capacity: number): void {
    if (++this.#taken % WINDOW === 0) this.#beginWindow();
    let use = this.#uses.get(capacity);
    if (use === undefined) {
      use = { live: 0, most: 0, mostBefore: 0 };
      this.#uses.set(capacity, use);
    }
    const before = Math.min(use.most, use.mostBefore);
    use.most = Math.max(use.most, ++use.live);
    this.#steady += (Math.min(use.most, use.mostBefore) - before) * capacity;
    this.#most = Math.max(this.#most, this.#bytes + capacity);
  }

  #beginWindow(): void {
    this.#mostBefore = this.#most;
    this.#most = this.#bytes;
    this.#steady = 0;
    for (const [capacity, use] of this.#uses) {
      use.mostBefore = use.most;
      use.most = use.live;
      this.#steady += use.most * capacity;
    }
  }

  /** Destroys free buffers until `more` bytes fit within the limit. A later submit must not name a destroyed buffer. */
  #trim(more: number): void {
    const peak = Math.max(this.#most, this.#mostBefore);
    const limit = Math.max(peak, Math.min(this.#steady, 2 * peak)) + (this.#options.spareBytes ?? SPARE);
    if (this.#retained === 0 || this.reserved + more <= limit) return;
    this.#options.flush();
    for (const held of this.#order) {
      if (this.reserved + more <= limit) break;
      this.#forget(held);
      held.buffer.destroy();
    }
    this.#options.onDestroy();
  }
}

/**
 * A buffer of the pool, with what is known of it: a read of `buffer.size` is a call of native code, as is a write of
 * `buffer.label`, so a label says the capacity and not what the buffer holds at the time.
 */
interface Held {
  readonly buffer: GPUBuffer;
  readonly capacity: number;
  /** When it was made, as a count. */
  readonly made: number;
  /** Whether its allocation failed, as the device reported later. It is never given out again then. */
  failed: boolean;
}

/** The index before which a buffer stands in its list, where the oldest is last. */
function placeOf(list: readonly Held[], { made }: Held): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.made > made) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Numbers of buffers of one class that are given out: now, at most in this window, and at most in the one before. */
interface Use {
  live: number;
  most: number;
  mostBefore: number;
}

/**
 * Rounds a size up: to powers of two up to 64 KiB, then to eight steps between powers of two, so that at most an eighth
 * is wasted.
 */
function sizeClass(size: number): number {
  if (size <= 1 << 16) return Math.max(256, 2 ** Math.ceil(Math.log2(size)));
  const step = 2 ** Math.floor(Math.log2(size)) / 8;
  return Math.ceil(size / step) * step;
}
