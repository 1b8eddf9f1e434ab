/**
 * Counts how often each id occurs among the last `size` ids, for the penalties. Memory is bounded by the window and the
 * vocabulary.
 */
export class PenaltyWindow {
  readonly #size: number;
  readonly #counts: Map<number, number>;
  /** Ring buffer of a finite window; the oldest id is at `#oldest`. */
  #ids: number[];
  #oldest = 0;

  constructor(size: number, ids: ArrayLike<number> = []) {
    this.#size = size;
    this.#counts = new Map();
    this.#ids = [];
    for (let index = Math.max(0, ids.length - size); index < ids.length; index++) this.push(ids[index]!);
  }

  get counts(): ReadonlyMap<number, number> {
    return this.#counts;
  }

  push(id: number): void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    if (this.#size === Number.POSITIVE_INFINITY) return;
    if (this.#ids.length < this.#size) {
      this.#ids.push(id);
      return;
    }
    const evicted = this.#ids[this.#oldest]!;
    this.#ids[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % this.#size;
    const left = this.#counts.get(evicted)! - 1;
    if (left === 0) this.#counts.delete(evicted);
    else this.#counts.set(evicted, left);
  }

  /** An independent copy, for speculative tokens. */
  clone(): PenaltyWindow {
    const copy = new PenaltyWindow(this.#size);
    for (const [id, count] of this.#counts) copy.#counts.set(id, count);
    copy.#ids = this.#ids.slice();
    copy.#oldest = this.#oldest;
    return copy;
  }
}
