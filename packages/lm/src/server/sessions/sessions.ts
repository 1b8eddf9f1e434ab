import { randomUUID } from 'node:crypto';
import { isMambaError, MambaError } from '@mamba/core';
import type { LanguageModel } from '../../language-model.ts';
import {
  EMPTY,
  loadSessionState,
  type SessionState,
  savedSessionLength,
  saveSessionState,
} from '../../session/state.ts';
import { ApiError } from '../errors.ts';
import type { SessionSettings } from '../options.ts';
import type { Store } from '../store/store.ts';

/** A session that no other request of any server can use until it is released. */
export interface HeldSession {
  readonly id: string;
  /** Borrowed: `release` disposes the model's state. */
  readonly state: SessionState;
  /**
   * Replaces what the store has of the session. The given state stays the caller's.
   * @returns its bytes.
   * @throws ApiError 409 if another server has taken the session, MambaError `out-of-memory` if it is too large, `io`.
   */
  save(next: SessionState): Promise<number>;
  release(): Promise<void>;
}

/** What the store has of a session. */
export interface SessionDescription {
  /** Tokens so far. */
  readonly tokens: number;
  readonly bytes: number;
}

/** The sessions of a model in a store, which any server of the same model continues. */
export class Sessions {
  readonly #lm: LanguageModel;
  readonly #store: Store;
  readonly #held = new Set<Promise<void>>();
  readonly #settings: { readonly ttlMs: number; readonly maxBytes: number; readonly leaseMs: number };

  constructor(lm: LanguageModel, store: Store, settings: SessionSettings = {}) {
    const { ttlMs = 24 * 3_600_000, maxBytes = 2 ** 28, leaseMs = 15_000 } = settings;
    this.#lm = lm;
    this.#store = store;
    this.#settings = { ttlMs, maxBytes, leaseMs };
  }

  /** Number of sessions that requests use at the moment. */
  get held(): number {
    return this.#held.size;
  }

  /** Resolves when no request uses a session. */
  async idle(): Promise<void> {
    while (this.#held.size > 0) await Promise.all(this.#held);
  }

  /**
   * Takes a session; it is empty if the store has none of this id.
   * @throws ApiError 409 if another request holds it, MambaError `foreign` if it belongs to another model, `io`.
   */
  async hold(id: string): Promise<HeldSession> {
    const owner = new TextEncoder().encode(randomUUID());
    const { leaseMs, ttlMs } = this.#settings;
    const held = await this.#store.set(lockOf(id), owner, { ttlMs: leaseMs, ifAbsent: true });
    if (!held) throw busy(id);
    const renewal = setInterval(() => {
      // A failure shows when the session is saved.
      this.#store.extend(lockOf(id), owner, leaseMs).catch(() => {});
    }, leaseMs / 3);
    renewal.unref();
    const unlock = async (): Promise<void> => {
      clearInterval(renewal);
      // The lease ends by itself.
      await this.#store.delete(lockOf(id), owner).catch(() => {});
    };
    try {
      const bytes = await this.#store.get(keyOf(id));
      const state = bytes === undefined ? EMPTY : this.#load(bytes);
      let ended!: () => void;
      const holding = new Promise<void>((resolve) => {
        ended = resolve;
      });
      this.#held.add(holding);
      return {
        id,
        state,
        save: async (next) => {
          const saved = await this.#encode(id, next);
          if (!(await this.#store.extend(lockOf(id), owner, leaseMs))) throw busy(id);
          await this.#store.set(keyOf(id), saved, { ttlMs });
          return saved.length;
        },
        release: async () => {
          state.state?.dispose();
          await unlock();
          this.#held.delete(holding);
          ended();
        },
      };
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** @throws ApiError 404, MambaError `foreign`, `io`. */
  async describe(id: string): Promise<SessionDescription> {
    const bytes = await this.#store.get(keyOf(id));
    if (bytes === undefined) throw unknown(id);
    return { tokens: savedSessionLength(this.#lm.model, this.#lm.fingerprint, bytes), bytes: bytes.length };
  }

  /** @throws ApiError 404 if there is none, 409 if a request holds it, MambaError `io`. */
  async delete(id: string): Promise<void> {
    const owner = new TextEncoder().encode(randomUUID());
    if (!(await this.#store.set(lockOf(id), owner, { ttlMs: this.#settings.leaseMs, ifAbsent: true }))) throw busy(id);
    try {
      if (!(await this.#store.delete(keyOf(id)))) throw unknown(id);
    } finally {
      await this.#store.delete(lockOf(id), owner);
    }
  }

  #load(bytes: Uint8Array): SessionState {
    return loadSessionState(this.#lm.model, this.#lm.fingerprint, bytes);
  }

  async #encode(id: string, state: SessionState): Promise<Uint8Array> {
    const bytes = await saveSessionState(this.#lm.model, this.#lm.fingerprint, state);
    const { maxBytes } = this.#settings;
    if (bytes.length <= maxBytes) return bytes;
    throw new MambaError('out-of-memory', `the session ${id} is larger than this server keeps`, {
      origin: 'session',
      given: `${bytes.length} bytes`,
      expected: `at most ${maxBytes}`,
      remedy: 'Begin another session, or let the server keep larger ones.',
    });
  }
}

/** Ids may stand in an address as they are. */
export const SESSION_ID = /^[\w.~-]{1,128}$/;

/** The error for the client where a session cannot be used; undefined for other errors. */
export function sessionError(error: unknown): ApiError | undefined {
  if (!isMambaError(error)) return undefined;
  if (error.code === 'foreign')
    return new ApiError(409, 'invalid_request_error', error.message, 'session', 'session_of_another_model');
  if (error.code === 'out-of-memory' && error.origin === 'session')
    return new ApiError(413, 'invalid_request_error', error.message, 'session', 'session_too_large');
  return undefined;
}

function keyOf(id: string): string {
  return `session:${id}`;
}

function lockOf(id: string): string {
  return `session-lock:${id}`;
}

function busy(id: string): ApiError {
  const message = `Another request uses the session ${id}, which takes one at a time. Try again when it has ended.`;
  return new ApiError(409, 'conflict_error', message, 'session', 'session_busy', 1);
}

function unknown(id: string): ApiError {
  const message = `There is no session ${id}: it was never saved, its time is over, or it was deleted.`;
  return new ApiError(404, 'invalid_request_error', message, 'session', 'session_not_found');
}
