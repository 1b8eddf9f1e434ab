import type { Counters } from './counters.ts';
import type { Failures } from './failures.ts';
import type { Recorder } from './recorder.ts';
import { MAP_MODE_READ, USAGE } from './usage.ts';

/** Bytes of mappable buffers that are kept for the next read. */
const RETAINED = 16 << 20;

/** Copies device memory to the host, and waits for it. */
export class Readback {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #recorder: Recorder;
  readonly #counters: Counters;
  readonly #busy = new Set<GPUBuffer>();
  #spare: GPUBuffer[] = [];

  constructor(device: GPUDevice, failures: Failures, recorder: Recorder, counters: Counters) {
    this.#device = device;
    this.#failures = failures;
    this.#recorder = recorder;
    this.#counters = counters;
  }

  get reserved(): number {
    let bytes = 0;
    for (const buffer of [...this.#spare, ...this.#busy]) bytes += buffer.size;
    return bytes;
  }

  /** Reads bytes `[offset, offset + size)`. Both are multiples of 4. */
  async read(source: GPUBuffer, offset: number, size: number): Promise<ArrayBuffer> {
    this.#failures.checkAlive();
    const staging = this.#take(size);
    try {
      this.#recorder.copy(source, offset, staging, 0, size);
      this.#recorder.flush();
      this.#counters.readbacks++;
      try {
        await staging.mapAsync(MAP_MODE_READ, 0, size);
      } catch (cause) {
        // A failed submit makes the mapping fail too, so its reason is thrown first.
        await this.#failures.deliver();
        throw await this.#failures.rejected('reading a tensor', cause);
      }
      const values = staging.getMappedRange(0, size).slice(0);
      staging.unmap();
      await this.#failures.deliver();
      this.#counters.bytesRead += size;
      return values;
    } finally {
      this.#give(staging);
    }
  }

  async synchronize(): Promise<void> {
    this.#failures.checkAlive();
    this.#recorder.flush();
    try {
      await this.#device.queue.onSubmittedWorkDone();
    } catch (cause) {
      throw await this.#failures.rejected('waiting for the device', cause);
    }
    await this.#failures.deliver();
  }

  dispose(): void {
    for (const buffer of [...this.#spare, ...this.#busy]) buffer.destroy();
    this.#spare = [];
    this.#busy.clear();
  }

  #take(size: number): GPUBuffer {
    const index = this.#spare.findIndex((buffer) => buffer.size >= size && buffer.size <= 4 * size + 4096);
    const [known] = index < 0 ? [] : this.#spare.splice(index, 1);
    const buffer =
      known ??
      this.#failures.watch(`a buffer of ${size} bytes to read from`, () =>
        this.#device.createBuffer({
          label: 'readback',
          size: Math.max(256, 2 ** Math.ceil(Math.log2(size))),
          usage: USAGE.MAP_READ | USAGE.COPY_DST,
        }),
      );
    this.#busy.add(buffer);
    return buffer;
  }

  #give(buffer: GPUBuffer): void {
    if (!this.#busy.delete(buffer)) return;
    const held = this.#spare.reduce((sum, { size }) => sum + size, buffer.size);
    if (buffer.mapState === 'unmapped' && held <= RETAINED) this.#spare.push(buffer);
    else buffer.destroy();
  }
}
