import { MambaError } from '@mamba/core';
import type { Failures } from './failures.ts';
import { USAGE } from './usage.ts';

/** A buffer with the size that was asked for; its GPUBuffer may be larger. */
export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  /** Bytes asked for, rounded up to 16, so that it can be bound as vec4s. */
  readonly size: number;
}

/** Freed buffers kept for reuse, in bytes; beyond it they are destroyed. */
const RETAINED = 256 << 20;

/**
 * Storage buffers by size class. Work is ordered on the queue, so a buffer may be given out again as soon as the calls that use it
 * are recorded.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #free = new Map<number, GPUBuffer[]>();
  readonly #live = new Set<GPUBuffer>();
  readonly #onDestroy: () => void;
  #bytes = 0;
  #retained = 0;

  constructor(device: GPUDevice, failures: Failures, onDestroy: () => void) {
    this.#device = device;
    this.#failures = failures;
    this.#onDestroy = onDestroy;
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

  /** @throws MambaError `out-of-memory` beyond the device's largest buffer; what the device itself reports comes with the next read. */
  take(bytes: number, label: string): PooledBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (size > this.#device.limits.maxBufferSize) {
      throw new MambaError('out-of-memory', `${label} of ${size} bytes is larger than a buffer can be`, {
        origin: label,
        given: `${size} bytes`,
        expected: `at most ${this.#device.limits.maxBufferSize}`,
        remedy: 'Take a smaller chunk or batch.',
      });
    }
    const capacity = Math.min(sizeClass(size), this.#device.limits.maxBufferSize);
    let buffer = this.#free.get(capacity)?.pop();
    if (buffer === undefined) {
      buffer = this.#failures.watch(`a buffer of ${capacity} bytes (${label})`, () =>
        this.#device.createBuffer({
          label,
          size: capacity,
          usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST,
        }),
      );
    } else {
      this.#retained -= capacity;
      buffer.label = label;
    }
    this.#bytes += buffer.size;
    this.#live.add(buffer);
    return { buffer, size };
  }

  give({ buffer }: PooledBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#bytes -= buffer.size;
    if (this.#retained + buffer.size > RETAINED) {
      buffer.destroy();
      this.#onDestroy();
      return;
    }
    this.#retained += buffer.size;
    const list = this.#free.get(buffer.size);
    if (list === undefined) this.#free.set(buffer.size, [buffer]);
    else list.push(buffer);
  }

  /** Destroys every buffer, given out or not. */
  dispose(): void {
    for (const list of this.#free.values()) for (const buffer of list) buffer.destroy();
    for (const buffer of this.#live) buffer.destroy();
    this.#free.clear();
    this.#live.clear();
    this.#bytes = 0;
    this.#retained = 0;
  }
}

/** Powers of two up to 64 KiB, then eight steps an octave: at most an eighth is wasted. */
function sizeClass(size: number): number {
  if (size <= 1 << 16) return Math.max(256, 2 ** Math.ceil(Math.log2(size)));
  const step = 2 ** Math.floor(Math.log2(size)) / 8;
  return Math.ceil(size / step) * step;
}
