import { invalid } from '@mamba/core';

/**
 * Ends a stream of text before the first stop string in it. Text that may be the beginning of a stop string is held
 * back, so that no part of one is ever given, and the result does not depend on how the text is split into pieces. The
 * stop string that is complete first counts; of several that are complete at the same character, the longest.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  /** @throws MambaError `invalid-argument` unless all are non-empty strings. */
  constructor(stops: readonly string[]) {
    for (const stop of stops)
      if (typeof stop !== 'string' || stop === '')
        throw invalid('generate.stop', JSON.stringify(stop) ?? String(stop), 'strings of at least one character');
    this.#stops = stops;
  }

  /** @returns the text before any possible stop string; `stopped` if one was found, and the text after it dropped. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    if (this.#stops.length === 0) return { text, stopped: false };
    this.#held += text;
    const first = this.#firstMatch();
    if (first !== undefined) {
      const before = this.#held.slice(0, first);
      this.#held = '';
      return { text: before, stopped: true };
    }
    const certain = this.#held.length - this.#partialMatch();
    const given = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain);
    return { text: given, stopped: false };
  }

  /** Ends the text. @returns the text that was held back. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** The start of the stop string that counts. */
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

  /** Length of the longest suffix of the held text that is a prefix of a stop string. */
  #partialMatch(): number {
    let longest = 0;
    for (const stop of this.#stops)
      for (let size = Math.min(stop.length - 1, this.#held.length); size > longest; size--)
        if (this.#held.endsWith(stop.slice(0, size))) longest = size;
    return longest;
  }
}
