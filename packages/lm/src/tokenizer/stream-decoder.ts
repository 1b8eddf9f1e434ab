import type { Decoding } from './decoding/decoding.ts';

/**
 * Decodes a stream of ids. What may still turn out otherwise is held back: a character whose bytes are spread over
 * tokens, a space that a mark after it would take away. The pieces joined are the text of all ids.
 */
export class StreamDecoder {
  readonly #tokenOf: (id: number) => string | undefined;
  readonly #begin: () => Decoding;
  #decoding: Decoding;

  /** @internal Use `tokenizer.streamDecoder()`. An id whose token is undefined stands for no text. */
  constructor(tokenOf: (id: number) => string | undefined, begin: () => Decoding) {
    this.#tokenOf = tokenOf;
    this.#begin = begin;
    this.#decoding = begin();
  }

  /** The text that this id completes; often empty where characters take several tokens. */
  push(id: number): string {
    const token = this.#tokenOf(id);
    return token === undefined ? '' : this.#decoding.push(token);
  }

  /** What was held back, bytes that are no character as U+FFFD; the decoder begins anew. */
  end(): string {
    const rest = this.#decoding.end();
    this.#decoding = this.#begin();
    return rest;
  }
}
