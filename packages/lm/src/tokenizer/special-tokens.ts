/** Special tokens that somebody typed, as text: `<|im_end|>` in a question does not end it. */
import type { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';

/**
 * Stands for special tokens in texts by characters that nothing else uses, so that the tokenizer, and a chat template
 * before it, see them as a part of a word.
 */
export class Marks {
  readonly #marks = new Map<string, string>();
  readonly #tokens = new Map<string, string>();

  /** @param tokens The special ones; `texts` all that the marks will come together with. */
  constructor(tokens: Iterable<string>, texts: readonly string[]) {
    const used = new Set(texts.flatMap((text) => text.match(/[\ue000-\uf8ff]/g) ?? []));
    let next = 0xf8ff;
    for (const token of [...tokens].sort((a, b) => b.length - a.length)) {
      if (token === '' || !texts.some((text) => text.includes(token))) continue;
      while (used.has(String.fromCharCode(next))) next--;
      const mark = String.fromCharCode(next--);
      this.#marks.set(token, mark);
      this.#tokens.set(mark, token);
    }
  }

  /** The longest token first, where several begin alike. */
  mark(text: string): string {
    return replaceAll(text, this.#marks);
  }

  unmark(text: string): string {
    return replaceAll(text, this.#tokens);
  }

  /** All texts within a value, such as a message. */
  markWithin<T>(value: T): T {
    if (typeof value === 'string') return this.mark(value) as T;
    if (Array.isArray(value)) return value.map((item: unknown) => this.markWithin(item)) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.markWithin(item as unknown)])) as T;
  }
}

/** All texts within a value. */
export function textsWithin(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsWithin) : [];
}

/** Lets a tokenizer read marks as the text that they stand for, once it has found its own special tokens. */
export class MarkReader {
  readonly #special: ReadonlySet<string>;
  #marks: Marks | undefined;

  constructor(tokenizer: HuggingFaceTokenizer, special: ReadonlySet<string>) {
    this.#special = special;
    const parts = tokenizer as unknown as Readonly<Record<string, Part | null>>;
    const { normalizer, pre_tokenizer: splitter, model } = parts;
    if (normalizer) {
      const own = normalizer.normalize!.bind(normalizer);
      // What it gives is looked through for special tokens once more.
      normalizer.normalize = (text) => this.#mark(own(this.#read(text)));
    }
    if (splitter) {
      const own = splitter.pre_tokenize_text!.bind(splitter);
      splitter.pre_tokenize_text = (text, options) => own(this.#read(text), options);
    }
    if (!model) return;
    const encode = model.encode!.bind(model);
    model.encode = (words) => {
      if (this.#marks === undefined) return encode(words);
      return encode(words.map((word) => this.#read(word))).flatMap((token) =>
        this.#apart(token, { encode, unknown: model.unk_token }),
      );
    };
  }

  /** What `act` gives, to whom marks are text. */
  read<T>(marks: Marks, act: () => T): T {
    this.#marks = marks;
    try {
      return act();
    } finally {
      this.#marks = undefined;
    }
  }

  #mark(text: string): string {
    return this.#marks === undefined ? text : this.#marks.mark(text);
  }

  #read(text: string): string {
    return this.#marks === undefined ? text : this.#marks.unmark(text);
  }

  /** Some vocabularies have their special tokens as words, too. */
  #apart(token: string, { encode, unknown }: { encode: (words: string[]) => string[]; unknown: unknown }): string[] {
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
