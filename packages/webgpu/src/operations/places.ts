/** Where the rows of a batch go on whose sequences are of unequal age. */
import type { IntegerRange } from '@mamba/core';
import type { DeviceTensor } from '@mamba/core/driver';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { USAGE } from '../gpu/usage.ts';
import type { Storage } from '../storage.ts';

/** Places on the device. */
export interface PlacesOnDevice {
  /** int32 `[2, batch]`: rows of the cache, and positions, as attention-place.wgsl takes them. */
  readonly range: BufferRange;
  /** int32 `[batch]`: the rows, as the operation `attention` takes its offsets. */
  readonly offsets: DeviceTensor<Storage>;
}

/** Places that lie in memory. `bounds` are those of the rows of the cache. */
export function placesIn(range: BufferRange, batch: number, bounds: IntegerRange): PlacesOnDevice {
  const values = { ...range, size: 4 * batch };
  const buffer = { buffer: range.buffer, size: range.size };
  const parts = [{ buffer, firstRow: 0, rows: 1, values, scales: undefined }];
  return {
    range,
    offsets: { shape: [batch], dtype: 'int32', range: bounds, storage: { format: 'int32', parts } },
  };
}

export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((number, index) => number === b[index]);
}

/** Lists that are kept: layers with windows of their own have lists of their own. */
const MOST_KEPT = 4;
/** The fewest rows that a buffer has room for. */
const FEWEST_ROWS = 64;

interface Entry {
  readonly numbers: readonly number[];
  readonly buffer: GPUBuffer;
}

/** Keeps the latest places, since all layers of a call have the same, and a write may submit what was recorded. */
export class Places {
  readonly #gpu: Gpu;
  /** The latest used first. */
  #kept: readonly Entry[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** @param rows The row of the cache for the first token of each row of the batch. */
  of(rows: readonly number[], positions: readonly number[]): PlacesOnDevice {
    const numbers = [...rows, ...positions];
    const entry = this.#kept.find((kept) => sameNumbers(kept.numbers, numbers)) ?? this.#written(numbers);
    this.#kept = [entry, ...this.#kept.filter(({ buffer }) => buffer !== entry.buffer)];
    const range = { buffer: entry.buffer, offset: 0, size: 4 * numbers.length };
    return placesIn(range, rows.length, { min: Math.min(...rows), max: Math.max(...rows) });
  }

  dispose(): void {
    for (const { buffer } of this.#kept) buffer.destroy();
    this.#kept = [];
  }

  /** Writes numbers to a new buffer, or to that of the list which was used longest ago. */
  #written(numbers: readonly number[]): Entry {
    const { device, recorder } = this.#gpu;
    const size = 4 * Math.max(2 * FEWEST_ROWS, 2 ** Math.ceil(Math.log2(numbers.length)));
    const oldest = this.#kept.length < MOST_KEPT ? undefined : this.#kept.at(-1);
    if (oldest !== undefined && oldest.buffer.size < size) this.#destroy(oldest);
    const buffer =
      oldest !== undefined && oldest.buffer.size >= size
        ? oldest.buffer
        : device.createBuffer({ label: 'places', size, usage: USAGE.STORAGE | USAGE.COPY_DST });
    recorder.write(buffer, 0, new Uint8Array(Int32Array.from(numbers).buffer));
    return { numbers, buffer };
  }

  #destroy(entry: Entry): void {
    const { recorder } = this.#gpu;
    recorder.flush();
    recorder.forgetBuffers();
    entry.buffer.destroy();
    this.#kept = this.#kept.filter((kept) => kept !== entry);
  }
}
