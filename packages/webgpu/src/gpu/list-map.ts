/** The numbers of a list that fit before its array grows. */
const ROOM = 64;

/**
 * A map whose keys are lists of numbers. A key is put together in place, by `begin` and an `add` for each number, and
 * stays until the next `begin`: a look-up makes neither strings nor garbage.
 */
export class ListMap<V> {
  /** The entries with the same hash, one after the other. */
  readonly #entries = new Map<number, Entry<V>>();
  #size = 0;
  #key = new Float64Array(ROOM);
  #length = 0;
  #hash = 0;

  get size(): number {
    return this.#size;
  }

  begin(): void {
    this.#length = 0;
    this.#hash = 0;
  }

  add(value: number): void {
    if (this.#length === this.#key.length) {
      const longer = new Float64Array(2 * this.#key.length);
      longer.set(this.#key);
      this.#key = longer;
    }
    this.#key[this.#length++] = value;
    // A multiplication carries bits upwards only, and the shift brings them back.
    const mixed = Math.imul(this.#hash ^ value, 0x9e3779b1);
    this.#hash = mixed ^ (mixed >>> 15);
  }

  /** The value of the key, where there is one. */
  get(): V | undefined {
    for (let entry = this.#entries.get(this.#hash); entry !== undefined; entry = entry.next)
      if (this.#equals(entry.key)) return entry.value;
    return undefined;
  }

  /** Adds a value for the key, which has none yet. */
  set(value: V): void {
    const key = this.#key.slice(0, this.#length);
    this.#entries.set(this.#hash, { key, value, next: this.#entries.get(this.#hash) });
    this.#size++;
  }

  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }

  #equals(key: Float64Array): boolean {
    if (key.length !== this.#length) return false;
    for (let index = 0; index < key.length; index++) if (key[index] !== this.#key[index]) return false;
    return true;
  }
}

interface Entry<V> {
  readonly key: Float64Array;
  readonly value: V;
  readonly next: Entry<V> | undefined;
}
