import { bookOf } from '../book.ts';
import type { Branch } from '../branch.ts';
import { type Pace, pacer } from '../pace.ts';
import { Section } from './section.ts';
import type { SharedModel } from './shared-model.ts';
import type { Story } from './story.ts';

/** Tokens of the long text. */
export const LONG_TOKENS = 10_000;

/** What the model remembers: of the story, and of a long text that a copy of it reads. */
export class Memory extends Section {
  pace: Pace | undefined;
  readonly #model: SharedModel;
  readonly #story: Story;
  /** The copy of the story's branch that reads, and the branch that it was taken of. */
  #copy: { readonly branch: Branch; readonly of: Branch | undefined } | undefined;

  constructor(changed: () => void, model: SharedModel, story: Story) {
    super(changed);
    this.#model = model;
    this.#story = story;
  }

  /** The branch whose memory is shown: the copy, until the reader has another story written. */
  get branch(): Branch | undefined {
    const { branch } = this.#story;
    return this.#copy !== undefined && this.#copy.of === branch ? this.#copy.branch : branch;
  }

  /** Reads a long text, after what was read before. */
  read(): Promise<void> {
    return this.run(async (signal) => {
      const { lm } = await this.#model.load(signal);
      const before = this.branch;
      const of = this.#story.branch;
      if (before === undefined || before !== this.#copy?.branch) {
        const branch = (await before?.fork(1, 'the reader')) ?? (await this.#model.begin('the reader', signal));
        await this.#copy?.branch.session.dispose();
        this.#copy = { branch, of };
      }
      let pace: ((tokens: number) => Pace) | undefined;
      await this.#copy!.branch.read(lm, await bookOf(lm, LONG_TOKENS), signal, (done, total) => {
        pace ??= pacer('read', total);
        this.pace = pace(done);
        this.changed();
      });
    });
  }
}
