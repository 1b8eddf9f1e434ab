import type { Decoding } from './decoding/decoding.ts';

/**
 * Decodes a stream of ids. Text that later ids may change is held back: a character whose bytes are spread over several
 * tokens, or a space that punctuation after it would remove. The pieces joined are the text of all ids.
 */
export class StreamDecoder {
  readonly #tokenOf: (id: number) => string | undefined;
  readonly #begin: () => Decoding;
  #decoding: Decoding;

  /** @internal Use `tokenizer.streamDecoder()`. @param tokenOf Returns undefined for an id without text. */
  constructor(tokenOf: (id: number) => string | undefined, begin: () => Decoding) {
    this.#tokenOf = tokenOf;
    this.#begin = begin;
    this.#decoding = begin();
  }

  /** @returns the text that this id completes; empty while a character is incomplete. */
  push(id: number): string {
    const token = this.#tokenOf(id);
    return token === undefined ? '' : this.#decoding.push(token);
  }

  /** @returns the text that was held back, incomplete characters as U+FFFD. The decoder starts over. */
  end(): string {
    const rest = this.#decoding.end();
    this.#decoding = this.#begin();
    return rest;
  }
}
