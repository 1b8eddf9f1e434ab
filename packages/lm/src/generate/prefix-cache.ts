import { invalid, type Model, type ModelState } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';

/** How much a prefix cache may hold. */
export interface PrefixCacheOptions {
  /** Bytes that the states, and the ids that they are found by, may take together. Default 256 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Generations of a `Batcher` also insert the states after this many tokens of a prompt, twice, four times as many and
   * so on, so that prompts that begin alike and go on differently share at least half of what they have in common.
   * Default: none.
   */
  readonly boundary?: number | undefined;
}

/**
 * Keeps model states by the ids that led to them, so that a prompt starts from its longest prefix that was read before.
 * A state cannot be truncated, so only inserted prefixes are found. Generation inserts the state after each chunk of a
 * prompt, at the end of the prompt and at the end of the generated text. The least recently used states are evicted
 * when the budget is reached.
 */
export class PrefixCache {
  readonly model: Model;
  readonly maxBytes: number;
  readonly boundary: number | undefined;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  /** How many entries there are of each length. */
  readonly #lengths = new Map<number, number>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /**
   * @param owner The `Model` or `LanguageModel` whose states are kept.
   * @throws MambaError `invalid-argument`
   */
  constructor(owner: Model | { readonly model: Model }, options: PrefixCacheOptions = {}) {
    checkOptions('PrefixCache', options, ['maxBytes', 'boundary']);
    const { maxBytes = 2 ** 28, boundary } = options;
    checkInteger('PrefixCache.maxBytes', maxBytes, 0);
    if (boundary !== undefined) checkInteger('PrefixCache.boundary', boundary, 1);
    const model = 'model' in owner ? owner.model : owner;
    if (typeof model?.gatherState !== 'function') throw invalid('PrefixCache', String(owner), 'a model');
    this.model = model;
    this.maxBytes = maxBytes;
    this.boundary = boundary;
  }

  /** Number of states. */
  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of the states and their ids. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many lookups have found a state, and how many have not. */
  get lookups(): { readonly hits: number; readonly misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  /** The first boundary beyond so many tokens; infinity without boundaries. */
  nextBoundary(tokens: number): number {
    let next = this.boundary ?? Number.POSITIVE_INFINITY;
    while (next <= tokens) next *= 2;
    return next;
  }

  /** The longest cached prefix of `ids`: its length, and a copy of its state, the caller's to dispose. */
  lookup(ids: ArrayLike<number>): { readonly length: number; readonly state: ModelState } | undefined {
    const found = this.#find(ids);
    if (found === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    this.#entries.delete(found.key);
    this.#entries.set(found.key, found);
    return { length: found.ids.length, state: this.model.cloneState(found.state) };
  }

  /** Tokens of the longest cached prefix of `ids`; 0 if there is none. */
  lengthOf(ids: ArrayLike<number>): number {
    return this.#find(ids)?.ids.length ?? 0;
  }

  #find(ids: ArrayLike<number>): Entry | undefined {
    let found: Entry | undefined;
    let hash = SEED;
    for (let index = 0; index < ids.length; index++) {
      hash = mix(hash, ids[index]!);
      if (!this.#lengths.has(index + 1)) continue;
      const entry = this.#entries.get(keyOf(index + 1, hash));
      // Hashes may collide.
      if (entry?.ids.every((id, at) => id === ids[at])) found = entry;
    }
    return found;
  }

  /**
   * Inserts a copy of the state of one row after `ids`; the given state stays the caller's. Does nothing if the copy
   * exceeds the budget.
   * @throws MambaError `invalid-argument` for a state of several rows, and what the backend throws.
   */
  insert(ids: ArrayLike<number>, state: ModelState): void {
    if (state.batch !== 1) throw invalid('PrefixCache.insert', `a state of ${state.batch} rows`, 'one row');
    if (ids.length === 0) return;
    let hash = SEED;
    for (let index = 0; index < ids.length; index++) hash = mix(hash, ids[index]!);
    const key = keyOf(ids.length, hash);
    const bytes = state.bytes + ids.length * Int32Array.BYTES_PER_ELEMENT;
    if (bytes > this.maxBytes) return;
    const known = this.#entries.get(key);
    if (known?.ids.every((id, at) => id === ids[at])) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return;
    }
    if (known !== undefined) this.#remove(known);
    for (const oldest of this.#entries.values()) {
      if (this.#bytes + bytes <= this.maxBytes) break;
      this.#remove(oldest);
    }
    const entry = { key, ids: Int32Array.from(ids), state: this.model.cloneState(state), bytes };
    this.#entries.set(key, entry);
    this.#lengths.set(ids.length, (this.#lengths.get(ids.length) ?? 0) + 1);
    this.#bytes += bytes;
  }

  /** Frees all states; the cache stays usable. */
  clear(): void {
    for (const entry of this.#entries.values()) this.#remove(entry);
  }

  /** Frees all states. The cache is of no use afterwards. */
  dispose(): void {
    this.clear();
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#bytes -= entry.bytes;
    const left = this.#lengths.get(entry.ids.length)! - 1;
    if (left === 0) this.#lengths.delete(entry.ids.length);
    else this.#lengths.set(entry.ids.length, left);
    entry.state.dispose();
  }
}

interface Entry {
  readonly key: string;
  readonly ids: Int32Array;
  readonly state: ModelState;
  readonly bytes: number;
}

const SEED = 0x811c9dc5;

/** One step of FNV-1a over a whole id, and a shift so that high bits reach low ones. */
function mix(hash: number, id: number): number {
  const next = Math.imul(hash ^ id, 0x01000193);
  return next ^ (next >>> 15);
}

function keyOf(length: number, hash: number): string {
  return `${length}:${hash >>> 0}`;
}
