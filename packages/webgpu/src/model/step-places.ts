/** Where the rows of a batch go on in each cache, for steps that were prepared: they read it on the device. */
import { advance } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { ALIGNMENT, type BufferRange } from '../gpu/shader.ts';
import { type PlacesOnDevice, placesIn, sameNumbers } from '../operations/places.ts';

/** Bytes of the places in so many caches. */
export function placeBytes(caches: number, rows: number): number {
  return caches * strideOf(rows);
}

/** The places in one cache. `reach` is the most tokens that a row has been fed after the step. */
export function placesOfCache(memory: BufferRange, cache: number, rows: number, reach: number): PlacesOnDevice {
  const range = { buffer: memory.buffer, offset: memory.offset + cache * strideOf(rows), size: 8 * rows };
  return placesIn(range, rows, { min: 0, max: reach - 1 });
}

/** The positions of all rows, which stand in every list, as ids of a table's rows. */
export function positionsIn(
  memory: BufferRange,
  rows: number,
): { readonly ids: BufferRange; readonly idOffset: number } {
  return { ids: { ...memory, size: 8 * rows }, idOffset: rows };
}

/** Dispatches the end of a step: the places of the next one. */
export function advancePlaces(gpu: Gpu, memory: BufferRange, caches: number, rows: number): void {
  const size = placeBytes(caches, rows) / 4;
  gpu.dispatch(advance, {
    bindings: { values: { ...memory, size: 4 * size } },
    uniforms: { size },
    workgroups: gpu.grid(Math.ceil(size / 64)),
  });
}

/** The places that the device has, so that they are written where they are others. */
export class StepPlaces {
  readonly #gpu: Gpu;
  #memory: BufferRange | undefined;
  #numbers: number[][] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Lets the memory hold these places: for each cache the row of the first token of each row, and all positions. */
  hold(memory: BufferRange, caches: readonly (readonly number[])[], positions: readonly number[]): void {
    const numbers = caches.map((rows) => [...rows, ...positions]);
    // The range itself is compared, since its buffer may have been somebody else's meanwhile.
    if (this.#memory === memory && sameLists(this.#numbers, numbers)) return;
    const stride = strideOf(positions.length);
    const words = new Int32Array((caches.length * stride) / 4);
    for (const [cache, list] of numbers.entries()) words.set(list, (cache * stride) / 4);
    this.#gpu.recorder.write(memory.buffer, memory.offset, new Uint8Array(words.buffer));
    this.#memory = memory;
    this.#numbers = numbers;
  }

  /** Notes that a step was recorded, at whose end the device advances. */
  advanced(): void {
    for (const list of this.#numbers) for (const index of list.keys()) list[index]! += 1;
  }
}

/** Bytes from one cache to the next. */
function strideOf(rows: number): number {
  return Math.ceil((8 * rows) / ALIGNMENT) * ALIGNMENT;
}

function sameLists(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): boolean {
  return a.length === b.length && a.every((list, cache) => sameNumbers(list, b[cache]!));
}
