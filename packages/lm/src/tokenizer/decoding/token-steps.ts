import { StripText, type TextStep } from './text-steps.ts';

/**
 * Changes a list of tokens that come one by one, like a decoder of a `tokenizer.json`. Each call returns the tokens
 * that can no longer change; the last one may come in parts, if the next step only joins tokens.
 */
export interface TokenStep {
  push(token: string): readonly string[];
  end(): readonly string[];
}

/** Changes each token separately, depending on whether it is the first. */
export class EachToken implements TokenStep {
  readonly #change: (token: string, first: boolean) => string;
  #first: boolean;

  constructor(change: (token: string, first: boolean) => string, begun = false) {
    this.#change = change;
    this.#first = !begun;
  }

  push(token: string): readonly string[] {
    const first = this.#first;
    this.#first = false;
    return [this.#change(token, first)];
  }

  end(): readonly string[] {
    return [];
  }
}

/**
 * Decodes runs of byte tokens, such as `<0xE6>`, as UTF-8, with U+FFFD for invalid bytes.
 */
export class ByteFallback implements TokenStep {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Whether the token of a run may be given in parts. */
  readonly #inParts: boolean;
  #run: string | undefined;

  constructor(inParts: boolean) {
    this.#inParts = inParts;
  }

  push(token: string): readonly string[] {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte === undefined) return [...this.end(), token];
    const text = this.#decoder.decode(Uint8Array.of(Number.parseInt(byte, 16)), { stream: true });
    this.#run = (this.#run ?? '') + text;
    if (!this.#inParts) return [];
    this.#run = '';
    return [text];
  }

  end(): readonly string[] {
    if (this.#run === undefined) return [];
    const run = this.#run + this.#decoder.decode();
    this.#run = undefined;
    return [run];
  }
}

/** Replaces the suffix at the end of a word by a space, and removes it after the last word. */
export class WordSuffix implements TokenStep {
  readonly #suffix: string;
  /** The last token, from its first suffix on. */
  #held = '';

  constructor(suffix: string) {
    this.#suffix = suffix;
  }

  push(token: string): readonly string[] {
    const before = this.#held.replaceAll(this.#suffix, ' ');
    const at = token.indexOf(this.#suffix);
    const certain = at < 0 ? token : token.slice(0, at);
    this.#held = token.slice(certain.length);
    return [before + certain];
  }

  end(): readonly string[] {
    const rest = this.#held.replaceAll(this.#suffix, '');
    this.#held = '';
    return [rest];
  }
}

/**
 * Decodes GPT-2's byte-level alphabet, in which each character is one byte. Added tokens are text already. Joins all
 * tokens to one.
 */
export class ByteLevel implements TokenStep {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #added: ReadonlySet<string>;

  constructor(added: ReadonlySet<string>) {
    this.#added = added;
  }

  push(token: string): readonly string[] {
    if (this.#added.has(token)) return [this.#decoder.decode() + token];
    return [this.#decoder.decode(bytesOf(token), { stream: true })];
  }

  end(): readonly string[] {
    return [this.#decoder.decode()];
  }
}

/** Connectionist temporal classification: merges repeated tokens, and drops padding. */
export class Collapse implements TokenStep {
  readonly #padding: string;
  readonly #change: (token: string) => string;
  #last: string | undefined;

  constructor(padding: string, change: (token: string) => string) {
    this.#padding = padding;
    this.#change = change;
  }

  push(token: string): readonly string[] {
    if (token === this.#last) return [];
    this.#last = token;
    return token === this.#padding ? [] : [this.#change(token)];
  }

  end(): readonly string[] {
    this.#last = undefined;
    return [];
  }
}

/** Removes `content` up to `start` times from the beginning of a token, and up to `stop` times from its end. */
export function stripToken(token: string, content: string, start: number, stop: number): string {
  const step = new StripText(content, start, stop);
  return whole(step, token);
}

/** Applies a step to a whole text. */
export function whole(step: TextStep, text: string): string {
  return step.push(text) + step.end();
}

/** The bytes of a token; one with a character outside the alphabet is encoded as UTF-8. */
function bytesOf(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTES.get(character);
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Bytes by their characters: printable bytes stand for themselves, the others follow from U+0100 on. */
const BYTES: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const bytes = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) bytes.set(String.fromCodePoint(printable(byte) ? byte : next++), byte);
  return bytes;
})();
