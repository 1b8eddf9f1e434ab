/**
 * Where a server keeps what outlives a request and what several instances share: sessions, states of prompts, counts of
 * limits. `MemoryStore` is the one of a single process; `connectRedis` connects to Redis or Valkey.
 *
 * Keys are text and values are bytes. Everything has a time to live, so that nothing stays that nobody asks for.
 */
export interface Store {
  /** The value of a key; undefined if there is none, or its time is over. */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Sets a value and its time to live.
   * @returns false if `ifAbsent` is true and the key has a value, which then stays.
   */
  set(key: string, value: Uint8Array, options: SetOptions): Promise<boolean>;
  /** Gives the key a new time to live, if it has this value. @returns whether it has. */
  extend(key: string, value: Uint8Array, ttlMs: number): Promise<boolean>;
  /** Deletes the key; if a value is given, only if the key has this value. @returns whether something was deleted. */
  delete(key: string, value?: Uint8Array): Promise<boolean>;
  /** Adds to a count, which begins at 0 with this time to live. @returns the sum. */
  add(key: string, amount: number, ttlMs: number): Promise<number>;
  /** Ends the connection. */
  close(): Promise<void>;
}

/** How long a value is kept, and what has to be there for it to be set. */
export interface SetOptions {
  readonly ttlMs: number;
  readonly ifAbsent?: boolean | undefined;
}
