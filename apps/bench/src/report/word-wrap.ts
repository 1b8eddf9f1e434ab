/** Breaks streamed text into lines at spaces: a word is written once it is complete. */
export class WordWrap {
  readonly #width: number;
  readonly #indent: string;
  #column: number;
  #space = '';
  #word = '';

  /** `column` is where the cursor stands, `indent` begins each further line. */
  constructor({ width, indent, column }: { width: number; indent: string; column: number }) {
    this.#width = width;
    this.#indent = indent;
    this.#column = column;
  }

  /** The text that may be written now. */
  push(text: string): string {
    let out = '';
    for (const character of text) {
      if (character === '\n') {
        out += `${this.#flush()}\n${this.#indent}`;
        this.#column = 0;
      } else if (character === ' ') {
        out += this.#flush();
        if (this.#column > 0) this.#space = ' ';
      } else {
        this.#word += character;
      }
    }
    return out;
  }

  end(): string {
    return this.#flush();
  }

  #flush(): string {
    const word = this.#word;
    if (word === '') return '';
    const length = [...word].length;
    const breaks = this.#column > 0 && this.#column + this.#space.length + length > this.#width;
    const lead = breaks ? `\n${this.#indent}` : this.#space;
    this.#column = breaks ? length : this.#column + this.#space.length + length;
    this.#space = '';
    this.#word = '';
    return lead + word;
  }
}
