/**
 * Hands out ranges of one linear address space: 64-byte aligned, best fit, neighbours merged when freed. It only
 * counts; the `extend` that it is given grows the memory behind it.
 *
 * All ranges, used and free, form a list in address order, so that merging looks at two neighbours alone. The best fit
 * is found by a search over all free ranges, which are few.
 */

/** A range that is in use. It knows whether it was freed: freeing it again does nothing. */
export interface Allocation {
  /** The first byte, a multiple of 64; up to 2^32, so not always an int32. */
  readonly address: number;
  /** The bytes asked for, rounded up to a multiple of 64. */
  readonly bytes: number;
  free(): void;
}

const ALIGNMENT = 64;

export class Allocator {
  readonly #extend: (end: number) => boolean;
  readonly #free = new Set<Range>();
  #last: Range | undefined;
  /** The end of all ranges; memory behind it was never used. */
  #end: number;
  #used = 0;
  /** The most bytes that were used at once since the last `watch` began. */
  #most = 0;

  /** `extend(end)` makes addresses below `end` usable and returns whether it could. */
  constructor(start: number, extend: (end: number) => boolean) {
    this.#end = align(start);
    this.#extend = extend;
  }

  /** Bytes of the allocations that are not freed. */
  get used(): number {
    return this.#used;
  }

  /** Begins to count the most bytes that are used at once; the function that it returns ends that and tells them. */
  watch(): () => number {
    const outer = this.#most;
    this.#most = this.#used;
    return () => {
      const most = this.#most;
      this.#most = Math.max(outer, most);
      return most;
    };
  }

  /** Returns undefined where the memory cannot grow to hold so many bytes. */
  allocate(bytes: number): Allocation | undefined {
    const size = align(Math.max(bytes, 1));
    const range = this.#bestFit(size) ?? this.#grow(size);
    if (range === undefined) return undefined;
    this.#free.delete(range);
    range.isFree = false;
    if (range.size > size) this.#split(range, size);
    this.#used += size;
    this.#most = Math.max(this.#most, this.#used);
    let live = true;
    return {
      address: range.address,
      bytes: size,
      free: () => {
        if (!live) return;
        live = false;
        this.#used -= size;
        this.#release(range);
      },
    };
  }

  #bestFit(size: number): Range | undefined {
    let best: Range | undefined;
    for (const range of this.#free) {
      if (range.size >= size && (best === undefined || range.size < best.size)) best = range;
      if (range.size === size) break;
    }
    return best;
  }

  /** Makes a free range at the end: the last one is made longer if it is free. */
  #grow(size: number): Range | undefined {
    const last = this.#last;
    const start = last?.isFree ? last.address : this.#end;
    if (!this.#extend(start + size)) return undefined;
    this.#end = start + size;
    if (last?.isFree) {
      last.size = size;
      return last;
    }
    const range: Range = { address: start, size, isFree: true, previous: last, next: undefined };
    if (last !== undefined) last.next = range;
    this.#last = range;
    return range;
  }

  #split(range: Range, size: number): void {
    const rest: Range = {
      address: range.address + size,
      size: range.size - size,
      isFree: true,
      previous: range,
      next: range.next,
    };
    if (rest.next === undefined) this.#last = rest;
    else rest.next.previous = rest;
    range.next = rest;
    range.size = size;
    this.#free.add(rest);
  }

  #release(range: Range): void {
    range.isFree = true;
    this.#free.add(range);
    if (range.next?.isFree) this.#absorbNext(range, range.next);
    if (range.previous?.isFree) this.#absorbNext(range.previous, range);
  }

  #absorbNext(range: Range, next: Range): void {
    this.#free.delete(next);
    range.size += next.size;
    range.next = next.next;
    if (range.next === undefined) this.#last = range;
    else range.next.previous = range;
  }
}

interface Range {
  readonly address: number;
  size: number;
  isFree: boolean;
  previous: Range | undefined;
  next: Range | undefined;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
