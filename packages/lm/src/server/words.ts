import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** What tokens read by themselves, each decoded once: an answer may name the same few a million times. */
export class Words {
  readonly #tokenizer: Tokenizer;
  readonly #first = new Map<number, string>();
  readonly #begun = new Map<number, string>();

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** @param begun Others go before it, so that a space at its beginning is one. */
  of(id: number, begun: boolean): string {
    const known = begun ? this.#begun : this.#first;
    const found = known.get(id);
    if (found !== undefined) return found;
    const word = this.#tokenizer.decode([id], { begun });
    known.set(id, word);
    return word;
  }
}
