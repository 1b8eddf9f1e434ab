/**
 * The patterns of a `tokenizer.json` are untrusted programs that come with a checkpoint: a regular expression may take
 * years for forty characters, and successive replacements may fill any memory.
 */

import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { MambaError } from '@mamba/core';
import { bounded } from '#bounds';
import type { Limited } from './decoding/text-steps.ts';

/** Time limit for one call of a part with regular expressions; sensible ones take a thousandth of it. */
const PATTERN_MS = 3000;
/** Additional time for each character, on a slow machine. */
const PATTERN_MS_PER_CHARACTER = 0.01;
/** All parts together may make a text of n characters at most `GROWTH * n + SLACK` long. */
const GROWTH = 32;
const SLACK = 2 ** 20;
/** A replacement that could make more characters is not tried. */
const MAX_REPLACED = 2 ** 28;

/** A normalizer or pre-tokenizer of the tokenizer; a sequence has parts of its own. */
interface Part {
  readonly config?: { readonly type?: unknown; readonly content?: unknown; readonly length?: unknown };
  readonly normalizers?: readonly (Part | null)[];
  readonly tokenizers?: readonly (Part | null)[];
  normalize?(text: string): string;
  pre_tokenize_text?(text: string, options?: unknown): string[];
}

/**
 * Limits the patterns that a tokenizer encodes with: the time of regular expressions, and the size of every result.
 * Their calls throw `invalid-file` beyond the limits.
 * @throws MambaError `invalid-file` for a part that would never end.
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
 * Normalizes all added tokens under the limits. The constructor of the library's tokenizer does the same without any.
 * @throws MambaError `invalid-file` if that exceeds the limits.
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
 * Limits the replacements of a decoder over all pieces of one text: their size, and their time if `timed`. The function
 * that it returns throws MambaError `invalid-file` beyond the limits.
 */
export function limitReplacements(origin: string, content: string, timed: boolean): Limited {
  const growth = new Growth(origin);
  growth.begin(0);
  return (text, replace) => {
    if ((text.length + 1) * content.length > MAX_REPLACED)
      throw limitExceeded(origin, `up to ${content.length} for each of ${text.length} characters`);
    const milliseconds = PATTERN_MS + text.length * PATTERN_MS_PER_CHARACTER;
    const made = timed ? bounded({ origin, milliseconds, remedy: REMEDY }, replace) : replace();
    growth.allow(text.length);
    growth.spend(text.length, made.length);
    return made;
  };
}

/** Counts how far the parts lengthen one text. */
class Growth {
  readonly origin: string;
  /** Characters of the text. */
  #given = 0;
  /** Characters that it may still grow by. */
  #left = 0;

  constructor(origin: string) {
    this.origin = origin;
  }

  /** Starts a text of `given` characters. */
  begin(given: number): void {
    this.#given = given;
    this.#left = (GROWTH - 1) * given + SLACK;
  }

  /** Adds `given` characters to the text. */
  allow(given: number): void {
    this.#given += given;
    this.#left += (GROWTH - 1) * given;
  }

  /** Counts a part that made `made` of `given` characters. */
  spend(given: number, made: number): void {
    this.#left -= Math.max(0, made - given);
    if (this.#left < 0) throw limitExceeded(this.origin, `more than that of ${this.#given} characters`);
  }
}

/** Limits the results of a part, or of all parts of a sequence. */
function limitSizes(part: Part, growth: Growth): void {
  const inner = part.normalizers ?? part.tokenizers;
  if (inner !== undefined) {
    for (const one of inner) if (one) limitSizes(one, growth);
    return;
  }
  const { type, content, length } = part.config ?? {};
  if (type === 'FixedLength' && !(typeof length === 'number' && length >= 1))
    throw limitExceeded(growth.origin, 'pieces of no length');
  const added = type === 'Replace' && typeof content === 'string' ? content.length : 0;
  const limited = <T>(given: number, act: () => T, size: (made: T) => number): T => {
    // Checked before the replacement, which may match at each character.
    if ((given + 1) * added > Math.max(MAX_REPLACED, given)) growth.spend(0, Number.POSITIVE_INFINITY);
    const made = act();
    growth.spend(given, size(made));
    return made;
  };
  const lengthOf = (text: string): number => text.length;
  wrap(part, 'normalize', (own) => (text) => limited(text.length, () => own(text), lengthOf));
  wrap(part, 'pre_tokenize_text', (own) => (text, options) => limited(text.length, () => own(text, options), sum));
}

/** Limits the time of a part that the tokenizer calls. */
function limitWhole(part: Part, growth: Growth, timed: boolean): void {
  const { origin } = growth;
  const limited = <T>(given: number, act: () => T): T => {
    growth.begin(given);
    if (!timed) return act();
    return bounded({ origin, milliseconds: PATTERN_MS + given * PATTERN_MS_PER_CHARACTER, remedy: REMEDY }, act);
  };
  wrap(part, 'normalize', (own) => (text) => limited(text.length, () => own(text)));
  wrap(part, 'pre_tokenize_text', (own) => (text, options) => limited(text.length, () => own(text, options)));
}

/** Whether a `tokenizer.json` has regular expressions for encoding. */
export function runsPatterns(json: object): boolean {
  const { normalizer, pre_tokenizer: splitter } = json as Readonly<Record<string, unknown>>;
  return holdsRegex(normalizer) || holdsRegex(splitter);
}

/** Wraps a method of a part, if it has that method. */
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

function limitExceeded(origin: string, given: string): MambaError {
  const expected = `at most ${GROWTH} times as many, and ${SLACK}`;
  return new MambaError('invalid-file', `${origin} cannot be used`, { origin, given, expected, remedy: REMEDY });
}
