/**
 * The patterns of a `tokenizer.json` are programs of whoever made the checkpoint: a regular expression may take years
 * for forty characters, and replacements that follow each other may fill any memory.
 */

import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { MambaError } from '@mamba/core';
import { bounded } from '#bounds';
import type { Limited } from './decoding/text-steps.ts';

/** For one call of a part with patterns, whatever the text; sound ones take a thousandth of that. */
const PATTERN_MS = 3000;
/** And for each character, on a slow machine. */
const PATTERN_MS_A_CHARACTER = 0.01;
/** A text may become so many times as long, and so many characters longer, all parts together. */
const GROWTH = 32;
const SLACK = 2 ** 20;
/** Characters that a replacement could make at most, beyond which it is not tried. */
const MAX_REPLACED = 2 ** 28;

/** A part of the tokenizer, or a part of a part. */
interface Part {
  readonly config?: { readonly type?: unknown; readonly content?: unknown; readonly length?: unknown };
  readonly normalizers?: readonly (Part | null)[];
  readonly tokenizers?: readonly (Part | null)[];
  normalize?(text: string): string;
  pre_tokenize_text?(text: string, options?: unknown): string[];
}

/**
 * Bounds what the patterns that a tokenizer encodes with take: time where there are regular expressions, sizes always.
 * @throws MambaError `invalid-file` for a part that cannot end.
 */
export function limitPatterns(tokenizer: HuggingFaceTokenizer, json: object, origin: string): void {
  const { normalizer, pre_tokenizer } = tokenizer as Readonly<Record<string, Part | null>>;
  const sections = json as Readonly<Record<string, unknown>>;
  for (const [name, part] of Object.entries({ normalizer, pre_tokenizer })) {
    if (!part) continue;
    const growth = new Growth(origin);
    limitSizes(part, growth);
    limitWhole(part, growth, holdsRegex(sections[name]));
  }
}

/**
 * Writes the tokens that the tokenizer writes as it is made, before any limits, under them.
 * @throws MambaError `invalid-file` where that does not end.
 */
export function tryAddedTokens(json: object, origin: string): void {
  const { added_tokens: added, normalizer } = json as {
    readonly added_tokens?: unknown;
    readonly normalizer?: unknown;
  };
  if (!Array.isArray(added) || !normalizer) return;
  const model = { type: 'BPE', vocab: {}, merges: [] };
  const trial = new HuggingFaceTokenizer({ ...json, added_tokens: [], model }, {});
  limitPatterns(trial, json, origin);
  const contents = added.flatMap((token: { readonly content?: unknown } | null) => token?.content ?? []);
  const act = (): void => {
    for (const content of contents) if (typeof content === 'string') trial.normalizer?.(content);
  };
  bounded({ origin, milliseconds: PATTERN_MS + contents.length, remedy: REMEDY }, act);
}

/**
 * Bounds what the replacements of a decoder take, as one text is decoded piece by piece: time where `timed`, sizes
 * always.
 * @throws MambaError `invalid-file` from the call that takes too much.
 */
export function limitReplacements(origin: string, content: string, timed: boolean): Limited {
  const growth = new Growth(origin);
  growth.begin(0);
  return (text, replace) => {
    if ((text.length + 1) * content.length > MAX_REPLACED)
      throw tooMuch(origin, `up to ${content.length} for each of ${text.length} characters`);
    const milliseconds = PATTERN_MS + text.length * PATTERN_MS_A_CHARACTER;
    const made = timed ? bounded({ origin, milliseconds, remedy: REMEDY }, replace) : replace();
    growth.allow(text.length);
    growth.spend(text.length, made.length);
    return made;
  };
}

/** What a text may still grow by on its way through the parts. */
class Growth {
  readonly origin: string;
  #given = 0;
  #left = 0;

  constructor(origin: string) {
    this.origin = origin;
  }

  begin(given: number): void {
    this.#given = given;
    this.#left = (GROWTH - 1) * given + SLACK;
  }

  /** More of the text has come. */
  allow(given: number): void {
    this.#given += given;
    this.#left += (GROWTH - 1) * given;
  }

  spend(given: number, made: number): void {
    this.#left -= Math.max(0, made - given);
    if (this.#left < 0) throw tooMuch(this.origin, `more than that of ${this.#given} characters`);
  }
}

/** Of the part and all within it. */
function limitSizes(part: Part, growth: Growth): void {
  const inner = part.normalizers ?? part.tokenizers;
  if (inner !== undefined) {
    for (const one of inner) if (one) limitSizes(one, growth);
    return;
  }
  const { type, content, length } = part.config ?? {};
  if (type === 'FixedLength' && !(typeof length === 'number' && length >= 1))
    throw tooMuch(growth.origin, 'pieces of no length');
  const added = type === 'Replace' && typeof content === 'string' ? content.length : 0;
  const limited = <T>(given: number, act: () => T, size: (made: T) => number): T => {
    // Before it is made: there may be a match at each character.
    if ((given + 1) * added > Math.max(MAX_REPLACED, given)) growth.spend(0, Number.POSITIVE_INFINITY);
    const made = act();
    growth.spend(given, size(made));
    return made;
  };
  const lengthOf = (text: string): number => text.length;
  wrap(part, 'normalize', (own) => (text) => limited(text.length, () => own(text), lengthOf));
  wrap(part, 'pre_tokenize_text', (own) => (text, options) => limited(text.length, () => own(text, options), sum));
}

/** Of the part that the tokenizer calls. */
function limitWhole(part: Part, growth: Growth, timed: boolean): void {
  const { origin } = growth;
  const limited = <T>(given: number, act: () => T): T => {
    growth.begin(given);
    if (!timed) return act();
    return bounded({ origin, milliseconds: PATTERN_MS + given * PATTERN_MS_A_CHARACTER, remedy: REMEDY }, act);
  };
  wrap(part, 'normalize', (own) => (text) => limited(text.length, () => own(text)));
  wrap(part, 'pre_tokenize_text', (own) => (text, options) => limited(text.length, () => own(text, options)));
}

/** Whether a `tokenizer.json` has regular expressions of its own to encode with. */
export function runsPatterns(json: object): boolean {
  const { normalizer, pre_tokenizer: splitter } = json as Readonly<Record<string, unknown>>;
  return holdsRegex(normalizer) || holdsRegex(splitter);
}

/** Puts a method in the place of the part's own, where it has it. */
function wrap<K extends 'normalize' | 'pre_tokenize_text'>(
  part: Part,
  name: K,
  around: (own: NonNullable<Part[K]>) => NonNullable<Part[K]>,
): void {
  const own = part[name];
  if (own !== undefined) part[name] = around(own.bind(part) as NonNullable<Part[K]>) as Part[K];
}

function sum(texts: readonly string[]): number {
  return texts.reduce((total, { length }) => total + length, 0);
}

function holdsRegex(section: unknown): boolean {
  if (typeof section !== 'object' || section === null) return false;
  return Object.hasOwn(section, 'Regex') || Object.values(section).some(holdsRegex);
}

const REMEDY = 'Give the prompt as token ids, or use another tokenizer.json.';

function tooMuch(origin: string, given: string): MambaError {
  const expected = `at most ${GROWTH} times as many, and ${SLACK}`;
  return new MambaError('invalid-file', `${origin} cannot be used`, { origin, given, expected, remedy: REMEDY });
}
