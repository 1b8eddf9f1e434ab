import type { Acquired } from './acquire.ts';
import { Arena } from './arena.ts';
import { BufferPool, type PooledBuffer } from './buffer-pool.ts';
import { type Counters, zeroCounters } from './counters.ts';
import { Failures } from './failures.ts';
import { keepUntilDrained } from './instances.ts';
import { type Limits, limitsOf } from './limits.ts';
import { Profiler } from './profiler.ts';
import { Readback } from './readback.ts';
import { type Plan, Recorder } from './recorder.ts';
import type { BufferRange, Dispatch, Shader } from './shader.ts';
import { USAGE } from './usage.ts';

export interface GpuOptions {
  /** Whether every dispatch is timed. Needs `timestamp-query`. */
  readonly profile?: boolean | undefined;
  /** Bytes of freed memory that are kept beyond the peak of use. */
  readonly spareBytes?: number | undefined;
}

/** One device at work: kernels record into it and allocate from it. */
export class Gpu {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly subgroups: Acquired['subgroups'];
  readonly limits: Limits;
  /** Bytes of the largest binding. */
  readonly maxBinding: number;
  readonly counters: Counters = zeroCounters();
  readonly failures: Failures;
  readonly pool: BufferPool;
  readonly recorder: Recorder;
  readonly readback: Readback;
  readonly profiler: Profiler | undefined;
  /** The buffer that is bound in place of an absent input; never read. */
  readonly unusedInput: BufferRange;
  /** The buffer that is bound in place of an absent output; never written. */
  readonly unusedOutput: BufferRange;
  readonly #owned: boolean;
  /** The user's instance, held until the device is gone. */
  readonly #instance: GPU | undefined;
  /** The source of the memory that calls take. */
  #memory: Memory;
  /** The captures that own buffers, by those buffers. */
  readonly #arenas = new Map<GPUBuffer, Arena>();

  constructor({ device, gpu, info, owned, subgroups }: Acquired, { profile = false, spareBytes }: GpuOptions = {}) {
    this.device = device;
    this.info = info;
    this.subgroups = subgroups;
    this.limits = limitsOf(device);
    this.maxBinding = Math.min(this.limits.maxStorageBufferBindingSize, this.limits.maxBufferSize);
    this.#owned = owned;
    this.#instance = gpu;
    this.failures = new Failures(device);
    this.profiler = profile ? new Profiler(device, this.failures) : undefined;
    this.pool = new BufferPool(device, this.failures, {
      largest: this.limits.maxBufferSize,
      spareBytes,
      flush: () => this.recorder.flush(),
      onDestroy: () => this.recorder.forgetBuffers(),
    });
    this.#memory = { results: this.pool, scratch: this.pool, constants: this.pool };
    this.recorder = new Recorder(device, this.failures, this.counters, this.profiler);
    this.readback = new Readback(device, this.failures, this.recorder, this.counters);
    const dummy = (label: string): BufferRange => ({
      buffer: device.createBuffer({ label, size: 16, usage: USAGE.STORAGE }),
      offset: 0,
      size: 16,
    });
    this.unusedInput = dummy('unused input');
    this.unusedOutput = dummy('unused output');
  }

  /** The widest workgroup of a power of two up to `wanted`. */
  workgroup(wanted: number): number {
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = this.limits;
    return Math.min(
      wanted,
      2 ** Math.floor(Math.log2(Math.min(maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX))),
    );
  }

  /** Lanes that can add up by shuffles: at most `wanted`, and 0 without subgroups. */
  shuffled(wanted: number): number {
    return this.subgroups === undefined ? 0 : Math.min(wanted, this.subgroups.min);
  }

  dispatch<B extends string, U extends string, O extends string, C extends string, L extends string>(
    shader: Shader<B, U, O, C, L>,
    call: Dispatch<B, U, O, C, L>,
  ): void {
    this.recorder.dispatch(shader, call);
  }

  /** Splits `count` workgroups into x and y, since one dimension holds 65535 by default. */
  grid(count: number): [number, number] {
    const limit = this.limits.maxComputeWorkgroupsPerDimension;
    if (count <= limit) return [count, 1];
    const y = Math.ceil(count / limit);
    return [Math.ceil(count / y), y];
  }

  /**
   * Runs `body` with an allocator. Scratch is given back when `body` ends, and results as well where it throws.
   * Recorded work keeps its order, so a buffer may be given out again at once.
   */
  allocating<R>(body: (allocator: Allocator) => R): R {
    const allocator = new Allocator(this.#memory);
    try {
      const result = body(allocator);
      allocator.close(false);
      return result;
    } catch (error) {
      allocator.close(true);
      throw error;
    }
  }

  /** Gives the buffer of a tensor back to where it came from. */
  give(buffer: PooledBuffer): void {
    (this.#arenas.get(buffer.buffer) ?? this.pool).give(buffer);
  }

  /** Whether calls are captured with all their memory, so that nothing of them is shared with other calls. */
  get capturing(): boolean {
    return this.#memory.results instanceof Arena;
  }

  /**
   * Captures the dispatches of `body` as a plan, which can be recorded again and again. The plan keeps their scratch;
   * results and constants are the caller's.
   */
  capture(body: () => void): Captured {
    return this.#capture(new Arena(this.pool), (arena) => ({ ...this.#memory, scratch: arena }), body);
  }

  /** The same for whole tensors: what `body` makes, uploads and frees stays with the plan as well. */
  captureAll(body: () => void): Captured {
    const arena = new Arena(this.pool, this.#arenas);
    return this.#capture(arena, () => ({ results: arena, scratch: arena, constants: arena.constants }), body);
  }

  #capture(arena: Arena, memoryOf: (arena: Arena) => Memory, body: () => void): Captured {
    const memory = this.#memory;
    this.#memory = memoryOf(arena);
    try {
      const plan = this.recorder.capture(body);
      return {
        plan,
        bytes: arena.bytes,
        forget: () => {
          this.recorder.forget(plan);
          arena.dispose();
        },
      };
    } catch (error) {
      arena.dispose();
      throw error;
    } finally {
      this.#memory = memory;
    }
  }

  /** Compiles every pipeline that `body` dispatches; it takes no memory and records nothing. */
  prepare(body: () => void): Promise<void> {
    const memory = this.#memory;
    const none: Source = { take: (bytes) => ({ buffer: this.unusedOutput.buffer, size: bytes }), give: () => {} };
    this.#memory = { results: none, scratch: none, constants: none };
    try {
      return this.recorder.prepare(body);
    } finally {
      this.#memory = memory;
    }
  }

  async dispose(): Promise<void> {
    try {
      if (!this.failures.lost) await this.failures.deliver();
    } finally {
      this.recorder.dispose();
      this.readback.dispose();
      this.profiler?.dispose();
      this.pool.dispose();
      this.unusedInput.buffer.destroy();
      this.unusedOutput.buffer.destroy();
      this.failures.close();
      if (this.#owned) this.device.destroy();
      if (this.#instance !== undefined) keepUntilDrained(this.#instance, this.device.lost);
    }
  }
}

/** A plan, and the function that frees it. */
export interface Captured {
  readonly plan: Plan;
  /** Bytes of the buffers that it keeps. */
  readonly bytes: number;
  forget(): void;
}

/** Where buffers are taken from, and given back to. */
export interface Source {
  take(bytes: number, label: string): PooledBuffer;
  give(buffer: PooledBuffer): void;
}

interface Memory {
  readonly results: Source;
  readonly scratch: Source;
  /** For what the host writes. */
  readonly constants: Source;
}

export class Allocator {
  readonly #memory: Memory;
  readonly #scratch: PooledBuffer[] = [];
  readonly #results: PooledBuffer[] = [];
  readonly #constants: PooledBuffer[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  result(bytes: number, label: string): PooledBuffer {
    const buffer = this.#memory.results.take(bytes, label);
    this.#results.push(buffer);
    return buffer;
  }

  /** A result that the host writes, and that has to keep its values where the call is captured. */
  constant(bytes: number, label: string): PooledBuffer {
    const buffer = this.#memory.constants.take(bytes, label);
    this.#constants.push(buffer);
    return buffer;
  }

  scratch(bytes: number, label: string): PooledBuffer {
    const buffer = this.#memory.scratch.take(bytes, label);
    this.#scratch.push(buffer);
    return buffer;
  }

  close(failed: boolean): void {
    for (const buffer of this.#scratch) this.#memory.scratch.give(buffer);
    if (!failed) return;
    for (const buffer of this.#results) this.#memory.results.give(buffer);
    for (const buffer of this.#constants) this.#memory.constants.give(buffer);
  }
}

/** The range of a whole pooled buffer. */
export function wholeRange({ buffer, size }: PooledBuffer): BufferRange {
  return { buffer, offset: 0, size };
}

/**
 * Lanes of a workgroup that reduces a row. Each has a few elements at least, so that short rows do not pay for barriers
 * of many lanes.
 */
export function rowWorkgroup(gpu: Gpu, length: number, most = 256): number {
  return gpu.workgroup(Math.min(most, Math.max(32, 2 ** Math.ceil(Math.log2(length / 8)))));
}
