/** Ids held back at most; only output that is no text at all comes near it. */
const MAX_HELD = 64;

/**
 * Decodes a stream of ids. A character whose bytes are spread over tokens shows as U+FFFD at the end of the text until it is
 * complete, so the text is given up to there. The pieces joined are the text of all ids.
 */
export class StreamDecoder {
  readonly #decode: (ids: readonly number[]) => string;
  /** The ids since the last complete character, after those that were given last: some decoders look at what comes before. */
  #ids: number[] = [];
  #context = 0;
  /** Characters of the decoded ids that were given. */
  #given = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  /** The text that this id completes; often empty where characters take several tokens. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#decode(this.#ids);
    const complete = !text.endsWith('\uFFFD') || this.#ids.length > MAX_HELD;
    const piece = this.#take(text, complete ? text.length : text.length - 1);
    if (complete) {
      this.#ids = this.#ids.slice(this.#context);
      this.#context = this.#ids.length;
      this.#given = this.#decode(this.#ids).length;
    }
    return piece;
  }

  /** What was held back, as U+FFFD; the decoder begins anew. */
  end(): string {
    const text = this.#decode(this.#ids);
    const piece = this.#take(text, text.length);
    this.#ids = [];
    this.#context = 0;
    this.#given = 0;
    return piece;
  }

  #take(text: string, end: number): string {
    const piece = text.slice(this.#given, end);
    this.#given = Math.max(this.#given, end);
    return piece;
  }
}
