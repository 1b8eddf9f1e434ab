/** Encodes special tokens in a user's text as ordinary text: `<|im_end|>` in a question must not end it. */
import type { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';

/**
 * Replaces special tokens in texts by single characters of the private use area that occur nowhere else, so that the
 * tokenizer, and a chat template before it, treat them as part of a word.
 */
export class Placeholders {
  readonly #placeholders = new Map<string, string>();
  readonly #tokens = new Map<string, string>();

  /**
   * @param tokens The special tokens.
   * @param texts All texts that the placeholders must not occur in.
   */
  constructor(tokens: Iterable<string>, texts: readonly string[]) {
    const used = new Set(texts.flatMap((text) => text.match(/[\ue000-\uf8ff]/g) ?? []));
    let next = 0xf8ff;
    for (const token of [...tokens].sort((a, b) => b.length - a.length)) {
      if (token === '' || !texts.some((text) => text.includes(token))) continue;
      while (used.has(String.fromCharCode(next))) next--;
      const placeholder = String.fromCharCode(next--);
      this.#placeholders.set(token, placeholder);
      this.#tokens.set(placeholder, token);
    }
  }

  /** Replaces special tokens, the longest first. */
  replace(text: string): string {
    return replaceAll(text, this.#placeholders);
  }

  /** Replaces placeholders by their tokens. */
  restore(text: string): string {
    return replaceAll(text, this.#tokens);
  }

  /** Replaces special tokens in all strings within a value, such as a message. */
  replaceWithin<T>(value: T): T {
    if (typeof value === 'string') return this.replace(value) as T;
    if (Array.isArray(value)) return value.map((item: unknown) => this.replaceWithin(item)) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.replaceWithin(item as unknown)]),
    ) as T;
  }
}

/** All strings within a value. */
export function textsWithin(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsWithin) : [];
}

/** Makes a tokenizer replace placeholders by their tokens after it has searched the text for special tokens. */
export class PlaceholderReader {
  readonly #special: ReadonlySet<string>;
  #placeholders: Placeholders | undefined;

  constructor(tokenizer: HuggingFaceTokenizer, special: ReadonlySet<string>) {
    this.#special = special;
    const parts = tokenizer as unknown as Readonly<Record<string, Part | null>>;
    const { normalizer, pre_tokenizer: splitter, model } = parts;
    if (normalizer) {
      const own = normalizer.normalize!.bind(normalizer);
      // The tokenizer searches the normalized text for special tokens again.
      normalizer.normalize = (text) => this.#replace(own(this.#restore(text)));
    }
    if (splitter) {
      const own = splitter.pre_tokenize_text!.bind(splitter);
      splitter.pre_tokenize_text = (text, options) => own(this.#restore(text), options);
    }
    if (!model) return;
    const encode = model.encode!.bind(model);
    model.encode = (words) => {
      if (this.#placeholders === undefined) return encode(words);
      return encode(words.map((word) => this.#restore(word))).flatMap((token) =>
        this.#split(token, { encode, unknown: model.unk_token }),
      );
    };
  }

  /** Runs `act`, in which the tokenizer encodes placeholders as the text of their tokens. */
  read<T>(placeholders: Placeholders, act: () => T): T {
    this.#placeholders = placeholders;
    try {
      return act();
    } finally {
      this.#placeholders = undefined;
    }
  }

  #replace(text: string): string {
    return this.#placeholders === undefined ? text : this.#placeholders.replace(text);
  }

  #restore(text: string): string {
    return this.#placeholders === undefined ? text : this.#placeholders.restore(text);
  }

  /** Splits a special token that the vocabulary also has as a word. */
  #split(token: string, { encode, unknown }: { encode: (words: string[]) => string[]; unknown: unknown }): string[] {
    const characters = [...token];
    if (!this.#special.has(token) || token === unknown || characters.length < 2) return [token];
    return [characters[0]!, characters.slice(1).join('')].flatMap((part) => encode([part]));
  }
}

interface Part {
  normalize?(text: string): string;
  pre_tokenize_text?(text: string, options?: unknown): string[];
  readonly unk_token?: unknown;
  encode?(words: string[]): string[];
}

function replaceAll(text: string, replacements: ReadonlyMap<string, string>): string {
  if (replacements.size === 0) return text;
  const pattern = [...replacements.keys()].map((key) => key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  return text.replace(new RegExp(pattern, 'g'), (found) => replacements.get(found)!);
}
