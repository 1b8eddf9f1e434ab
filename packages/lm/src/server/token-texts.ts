import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Caches the texts of single tokens: an answer may name the same few tokens a million times. */
export class TokenTexts {
  readonly #tokenizer: Tokenizer;
  readonly #atBeginning = new Map<number, string>();
  readonly #inText = new Map<number, string>();

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** @param begun Whether other tokens come before it, so that a space at its beginning is kept. */
  of(id: number, begun: boolean): string {
    const known = begun ? this.#inText : this.#atBeginning;
    const found = known.get(id);
    if (found !== undefined) return found;
    const text = this.#tokenizer.decode([id], { begun });
    known.set(id, text);
    return text;
  }
}
