import { createHash } from 'node:crypto';
import { ApiError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { MemoryStore } from './store/memory.ts';
import type { Store } from './store/store.ts';

/** What all servers of a store together answer in a minute. */
export interface RateLimits {
  /** Default: no limit. */
  readonly requestsPerMinute?: number | undefined;
  /** Tokens of prompts and answers together. Default: no limit. */
  readonly tokensPerMinute?: number | undefined;
}

/**
 * Counts requests and tokens of each minute in the store. While the store is down, each server counts for itself: a
 * limit that is too wide for a while is better than no answer.
 */
export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #store: Store;
  readonly #metrics: Metrics;
  readonly #own = new MemoryStore({ maxBytes: 2 ** 16 });
  readonly #now: () => number;

  constructor(limits: RateLimits, store: Store, metrics: Metrics, now: () => number = Date.now) {
    this.#limits = limits;
    this.#store = store;
    this.#metrics = metrics;
    this.#now = now;
  }

  /** Counts a request. @param key What limits are for: the API key. @throws ApiError 429 beyond a limit. */
  async admit(key: string): Promise<void> {
    const { requestsPerMinute, tokensPerMinute } = this.#limits;
    if (requestsPerMinute !== undefined && (await this.#add('requests', key, 1)) > requestsPerMinute)
      throw this.#refuse(`${requestsPerMinute} requests`);
    // The tokens of a request are known when it ends: the one that reaches the limit is answered to its end.
    if (tokensPerMinute !== undefined && (await this.#add('tokens', key, 0)) >= tokensPerMinute)
      throw this.#refuse(`${tokensPerMinute} tokens`);
  }

  /** Counts the tokens of a request that has ended. */
  async spend(key: string, tokens: number): Promise<void> {
    if (this.#limits.tokensPerMinute !== undefined) await this.#add('tokens', key, tokens);
  }

  async #add(what: string, key: string, amount: number): Promise<number> {
    const minute = Math.floor(this.#now() / MINUTE_MS);
    const name = `limit:${what}:${createHash('sha256').update(key).digest('base64url')}:${minute}`;
    try {
      return await this.#store.add(name, amount, 2 * MINUTE_MS);
    } catch {
      this.#metrics.add('storeFailures', 1, { use: 'limit' });
      return this.#own.add(name, amount, 2 * MINUTE_MS);
    }
  }

  #refuse(limit: string): ApiError {
    this.#metrics.add('limited', 1);
    const seconds = Math.ceil((MINUTE_MS - (this.#now() % MINUTE_MS)) / 1000);
    const message = `The limit of ${limit} a minute is reached. Try again in ${seconds} s.`;
    return new ApiError(429, 'rate_limit_error', message, null, 'rate_limit_exceeded', seconds);
  }
}

const MINUTE_MS = 60_000;
