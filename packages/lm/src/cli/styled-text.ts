import { styleText } from 'node:util';
import stringWidth from 'string-width';

export interface TextLook {
  /** Columns of a line. Read for each word, since a terminal may be resized. */
  readonly columns: () => number;
  readonly colour: boolean;
}

/** Whose text it is: what a person gave, or what the model writes. */
export type Voice = 'prompt' | 'model';

/**
 * Text for a terminal: lines break between words at its width, the prompt is dimmed and what the model writes has a
 * colour. A word is held back until its end is known. Control characters, by which a text could command the terminal,
 * are shown as U+FFFD.
 */
export class StyledText {
  readonly #look: TextLook;
  #column = 0;
  /** The beginning of a word, in parts of one voice each. */
  #word: { text: string; readonly voice: Voice }[] = [];

  constructor(look: TextLook) {
    this.#look = look;
  }

  /** @returns what is to be written now. */
  push(text: string, voice: Voice): string {
    let out = '';
    for (const { segment } of GRAPHEMES.segment(text.replace(CONTROLS, '\ufffd'))) {
      if (/^\s$/u.test(segment) || segment === '\r\n') out += this.#flush() + this.#space(segment);
      // Scripts without spaces, as Chinese, may break at any character; these are two columns wide.
      else if (stringWidth(segment) > 1) out += this.#flush() + this.#add(segment, voice) + this.#flush();
      else this.#add(segment, voice);
    }
    return out;
  }

  /** @returns the word that was held back. */
  end(): string {
    return this.#flush();
  }

  #add(text: string, voice: Voice): string {
    const last = this.#word.at(-1);
    if (last?.voice === voice) last.text += text;
    else this.#word.push({ text, voice });
    return '';
  }

  #space(space: string): string {
    if (space.includes('\n')) {
      this.#column = 0;
      return '\n';
    }
    const width = space === '\t' ? TAB - (this.#column % TAB) : 1;
    // A line that is full needs no space: the next word begins another.
    if (this.#column + width > this.#look.columns()) return '';
    this.#column += width;
    return space;
  }

  #flush(): string {
    const width = stringWidth(this.#word.map(({ text }) => text).join(''));
    if (width === 0 && this.#word.length === 0) return '';
    const columns = this.#look.columns();
    const breaks = this.#column > 0 && this.#column + width > columns;
    // The terminal itself breaks a word that is longer than a line.
    const end = (breaks ? 0 : this.#column) + width;
    this.#column = end > columns ? end % columns : end;
    const styled = this.#word.map(({ text, voice }) =>
      this.#look.colour ? styleText(STYLES[voice], text, { validateStream: false }) : text,
    );
    this.#word = [];
    return (breaks ? '\n' : '') + styled.join('');
  }
}

/** Both can be read on light and on dark. */
const STYLES = { prompt: 'dim', model: 'magenta' } as const;

const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

const CONTROLS = /(?!\r\n)[^\P{Cc}\n\t]/gu;

const TAB = 8;
