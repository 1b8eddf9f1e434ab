import type { Branch } from '../branch.ts';
import { SELECTION_EXAMPLE } from '../selection/example.ts';
import { INITIAL_VIEW, type Look, Looks, type View } from '../selection/looks.ts';
import { write } from '../writing.ts';
import { Section } from './section.ts';
import type { SharedModel } from './shared-model.ts';
import { SAMPLING } from './story.ts';

/** The seed of the first passage. */
const SEED = 7;
const TOKENS = 56;

/** A passage that is shaded by what the model lets in. */
export class Passage extends Section {
  branch: Branch | undefined;
  view: View = INITIAL_VIEW;
  readonly #model: SharedModel;
  #looks: Looks | undefined;
  #seed = SEED;

  constructor(changed: () => void, model: SharedModel) {
    super(changed);
    this.#model = model;
  }

  get look(): Look | undefined {
    return this.#looks?.look;
  }

  setView(view: Partial<View>): void {
    this.view = { ...this.view, ...view };
    this.changed();
  }

  /** Reads the example, goes on with it, and looks at both. Each time another text comes. */
  write(): Promise<void> {
    return this.run(async (signal) => {
      const { lm } = await this.#model.load(signal);
      const before = this.branch;
      const branch = await this.#model.begin('the passage', signal);
      this.#looks ??= new Looks(lm, this.changed);
      const looks = this.#looks;
      this.branch = branch;
      await before?.session.dispose();
      this.setView({ token: Number.POSITIVE_INFINITY });
      await branch.read(lm, SELECTION_EXAMPLE, signal, this.changed);
      await looks.refresh(branch);
      let looking = Promise.resolve();
      const sampling = { ...SAMPLING, maxTokens: TOKENS, seed: this.#seed++, signal };
      await write(lm, branch, sampling, {
        onToken: () => {
          // What fails here fails in the last look as well, which tells of it.
          if (looks.isDue()) looking = looks.refresh(branch).catch(() => {});
        },
        onChange: this.changed,
      });
      await looking;
      await looks.refresh(branch);
    });
  }
}
