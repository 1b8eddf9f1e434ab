import type { Branch } from '../branch.ts';
import { type Pace, pacer } from '../pace.ts';
import { write } from '../writing.ts';
import { Section } from './section.ts';
import type { SharedModel } from './shared-model.ts';

/** What the page begins with by itself. */
const OPENING = 'In the beginning';
/** Tokens that are written at once. */
const STORY_TOKENS = 220;
/** How the sections have the model write. */
export const SAMPLING = { temperature: 0.7, topP: 0.95 } as const;

/** The text that the model writes as the page opens, and those that the reader asks for. */
export class Story extends Section {
  branch: Branch | undefined;
  pace: Pace | undefined;
  /** Milliseconds from the opening of the page to the first token. */
  firstToken: number | undefined;
  /** The beginning that the reader has written. */
  beginning = OPENING;
  readonly #model: SharedModel;

  constructor(changed: () => void, model: SharedModel) {
    super(changed);
    this.#model = model;
  }

  setBeginning(beginning: string): void {
    this.beginning = beginning;
    this.changed();
  }

  /** Begins a text. @param seed Default: another one each time. */
  write(seed?: number): Promise<void> {
    return this.run(async (signal) => {
      const branch = await this.#model.begin('the story', signal);
      const before = this.branch;
      this.branch = branch;
      await before?.session.dispose();
      const { lm } = await this.#model.load(signal);
      if (this.beginning !== '') await branch.read(lm, this.beginning, signal, this.changed);
      await this.#write(branch, signal, seed);
    });
  }

  /** Goes on from where the text is. */
  goOn(): Promise<void> {
    return this.run(async (signal) => {
      if (this.branch !== undefined) await this.#write(this.branch, signal);
    });
  }

  async #write(branch: Branch, signal: AbortSignal, seed?: number): Promise<void> {
    const { lm } = await this.#model.load(signal);
    const pace = pacer('written', STORY_TOKENS);
    this.pace = pace(0);
    await write(
      lm,
      branch,
      { ...SAMPLING, maxTokens: STORY_TOKENS, signal, ...(seed !== undefined && { seed }) },
      {
        onToken: (tokens, since, now) => {
          this.firstToken ??= now;
          branch.note(branch.length, now - since, 'written');
          this.pace = pace(tokens);
        },
        onChange: this.changed,
      },
    );
  }
}
