import { invalid } from '@mamba/core';

/**
 * Watches a stream of text for strings at which it ends. What may be the beginning of one is held back, so that no part
 * of a stop string is ever given, and the result does not depend on how the text was cut into pieces: the string that
 * is complete first ends it, of several that are complete at the same character the longest.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  /** @throws MambaError `invalid-argument` where one is empty, or no string. */
  constructor(stops: readonly string[]) {
    for (const stop of stops)
      if (typeof stop !== 'string' || stop === '')
        throw invalid('generate.stop', JSON.stringify(stop) ?? String(stop), 'strings of at least one character');
    this.#stops = stops;
  }

  /** The text that is certain by now; `stopped` where a stop string came, and the rest is gone. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    if (this.#stops.length === 0) return { text, stopped: false };
    this.#held += text;
    const first = this.#firstMatch();
    if (first !== undefined) {
      const before = this.#held.slice(0, first);
      this.#held = '';
      return { text: before, stopped: true };
    }
    const certain = this.#held.length - this.#beginning();
    const given = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain);
    return { text: given, stopped: false };
  }

  /** What was held back, at the end of the text. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  #firstMatch(): number | undefined {
    let best: { start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = this.#held.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (best === undefined || end < best.end || (end === best.end && start < best.start)) best = { start, end };
    }
    return best?.start;
  }

  /** Length of the longest end of the held text with which a stop string begins. */
  #beginning(): number {
    let longest = 0;
    for (const stop of this.#stops)
      for (let size = Math.min(stop.length - 1, this.#held.length); size > longest; size--)
        if (this.#held.endsWith(stop.slice(0, size))) longest = size;
    return longest;
  }
}
