import { createHash } from 'node:crypto';
import { decodeSnapshot, encodeSnapshot, type ModelState } from '@mamba/core';
import { PrefixCache } from '../generate/prefix-cache.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Metrics } from './metrics.ts';
import type { Store } from './store/store.ts';

export interface SharedPrefixOptions {
  readonly maxBytes: number;
  readonly store: Store;
  readonly metrics: Metrics;
  /** Milliseconds that the store keeps a state; 0 leaves it alone. */
  readonly ttlMs: number;
}

/**
 * A prefix cache whose states at boundaries are also in a store, where all servers of the same model find them. A store
 * that is down costs nothing but these states.
 */
export class SharedPrefixCache extends PrefixCache {
  readonly #lm: LanguageModel;
  readonly #options: SharedPrefixOptions;
  /** States that are being written. */
  readonly #writing = new Set<Promise<void>>();
  /** The state that comes from the store at the moment, and need not be written to it. */
  #fetched: ModelState | undefined;

  constructor(lm: LanguageModel, options: SharedPrefixOptions) {
    super(lm, { maxBytes: options.maxBytes, boundary: BOUNDARY });
    this.#lm = lm;
    this.#options = options;
  }

  /** Looks for a longer prefix of `ids` in the store than there is in memory. */
  async fetch(ids: readonly number[]): Promise<void> {
    const { store, metrics, ttlMs } = this.#options;
    if (ttlMs === 0) return;
    const known = this.lengthOf(ids);
    const lengths: number[] = [];
    for (let next = this.nextBoundary(known); next < ids.length; next = this.nextBoundary(next)) lengths.unshift(next);
    try {
      for (const length of lengths) {
        const prefix = ids.slice(0, length);
        const bytes = await store.get(this.#keyOf(prefix));
        if (bytes === undefined) continue;
        this.#take(prefix, bytes);
        metrics.add('prefixFetches', 1);
        return;
      }
    } catch {
      metrics.add('storeFailures', 1, { use: 'prefix' });
    }
  }

  override insert(ids: ArrayLike<number>, state: ModelState): void {
    const isNew = this.lengthOf(ids) < ids.length;
    super.insert(ids, state);
    if (this.#options.ttlMs === 0 || !isNew || state === this.#fetched) return;
    if (this.nextBoundary(ids.length - 1) !== ids.length || this.#writing.size >= MAX_WRITING) return;
    const writing = this.#write(Array.from(ids), this.model.cloneState(state)).finally(() =>
      this.#writing.delete(writing),
    );
    this.#writing.add(writing);
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #take(prefix: readonly number[], bytes: Uint8Array): void {
    const state = this.model.importState(decodeSnapshot(bytes));
    try {
      this.#fetched = state;
      this.insert(prefix, state);
    } finally {
      this.#fetched = undefined;
      state.dispose();
    }
  }

  async #write(ids: readonly number[], state: ModelState): Promise<void> {
    const { store, metrics, ttlMs } = this.#options;
    try {
      const snapshot = await this.model.exportState(state);
      const bytes = encodeSnapshot({ ...snapshot, fingerprint: this.#lm.fingerprint });
      await store.set(this.#keyOf(ids), bytes, { ttlMs });
    } catch {
      metrics.add('storeFailures', 1, { use: 'prefix' });
    } finally {
      state.dispose();
    }
  }

  /** The model is a part of the key, so that no state of another one is found. */
  #keyOf(ids: readonly number[]): string {
    const digest = createHash('sha256').update(Int32Array.from(ids)).digest('base64url');
    return `prefix:${this.#lm.fingerprint}:${ids.length}:${digest}`;
  }
}

/** Tokens of the shortest prefix that is shared. A shorter one is read as fast as it is fetched. */
const BOUNDARY = 256;
/** Most states that are written at once; further ones are not shared. */
const MAX_WRITING = 4;
