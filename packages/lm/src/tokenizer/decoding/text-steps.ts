/**
 * Changes a text that comes in pieces. Text that may still change is held back, so that the pieces given, joined, are
 * the changed text, however it was split.
 */
export interface TextStep {
  /** @returns the text that can no longer change. */
  push(text: string): string;
  /** Ends the text. @returns the text that was held back. */
  end(): string;
}

/** Runs a replacement on a piece of text, under limits beyond which it throws. */
export type Limited = (text: string, replace: () => string) => string;

/** Replaces every occurrence of `pattern`, from the left and without overlaps, by `content`. */
export class ReplaceText implements TextStep {
  readonly #pattern: string;
  readonly #content: string;
  readonly #limited: Limited;
  #held = '';

  constructor(pattern: string, content: string, limited: Limited = (_, replace) => replace()) {
    this.#pattern = pattern;
    this.#content = content;
    this.#limited = limited;
  }

  push(text: string): string {
    if (this.#pattern === '') return text;
    const parts = (this.#held + text).split(this.#pattern);
    const last = parts.at(-1)!;
    const certain = last.length - partialMatch(last, this.#pattern);
    this.#held = last.slice(certain);
    parts[parts.length - 1] = last.slice(0, certain);
    return this.#limited(text, () => parts.join(this.#content));
  }

  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** Removes `content` up to `start` times from the beginning of the text, and up to `stop` times from its end. */
export class StripText implements TextStep {
  readonly #content: string;
  readonly #stop: number;
  #start: number;
  #held = '';

  constructor(content: string, start: number, stop: number) {
    this.#content = content;
    this.#start = content === '' ? 0 : start;
    this.#stop = content === '' ? 0 : stop;
  }

  push(text: string): string {
    let rest = text;
    while (this.#start > 0 && rest !== '') {
      const found = rest.startsWith(this.#content);
      if (found) rest = rest.slice(this.#content.length);
      this.#start = found ? this.#start - 1 : 0;
    }
    const all = this.#held + rest;
    const certain = strippedEnd(all, this.#content, this.#stop);
    this.#held = all.slice(certain);
    return all.slice(0, certain);
  }

  end(): string {
    this.#held = '';
    return '';
  }
}

const LEADING_SPACE = /^\p{White_Space}+/u;
const TRAILING_SPACE = /(?<!\p{White_Space})\p{White_Space}+$/u;

/** Removes whitespace from both ends, without U+FEFF, which JavaScript's `trim` would remove. */
export class TrimText implements TextStep {
  #begun: boolean;
  #held = '';

  constructor(begun = false) {
    this.#begun = begun;
  }

  push(text: string): string {
    const all = this.#begun ? this.#held + text : text.replace(LEADING_SPACE, '');
    const given = all.replace(TRAILING_SPACE, '');
    this.#begun ||= given !== '';
    this.#held = all.slice(given.length);
    return given;
  }

  end(): string {
    this.#held = '';
    return '';
  }
}

/** Applies a change that needs the whole text; nothing is given before its end. */
export class WholeText implements TextStep {
  readonly #change: (text: string) => string;
  #held = '';

  constructor(change: (text: string) => string) {
    this.#change = change;
  }

  push(text: string): string {
    this.#held += text;
    return '';
  }

  end(): string {
    const rest = this.#change(this.#held);
    this.#held = '';
    return rest;
  }
}

/** Applies steps one after the other. */
export class TextSteps implements TextStep {
  readonly #steps: readonly TextStep[];

  constructor(steps: readonly TextStep[]) {
    this.#steps = steps;
  }

  push(text: string): string {
    return this.#steps.reduce((rest, step) => (rest === '' ? rest : step.push(rest)), text);
  }

  end(): string {
    return this.#steps.reduce((rest, step) => (rest === '' ? '' : step.push(rest)) + step.end(), '');
  }
}

/** Length of the longest suffix of a text that is a proper prefix of the pattern. */
function partialMatch(text: string, pattern: string): number {
  let size = Math.min(pattern.length - 1, text.length);
  while (size > 0 && !text.endsWith(pattern.slice(0, size))) size--;
  return size;
}

/** The end of a text without `content` at its end, removed up to `count` times. */
function strippedEnd(text: string, content: string, count: number): number {
  let end = text.length;
  for (let left = count; left > 0 && content !== '' && text.endsWith(content, end); left--) end -= content.length;
  return end;
}
