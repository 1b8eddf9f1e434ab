import type { WorkerLanguageModel } from '@mamba/lm/worker';
import type { Branch } from '../branch.ts';
import { openEndings, writeEndings } from '../endings.ts';
import { Section } from './section.ts';
import type { SharedModel } from './shared-model.ts';
import { SAMPLING } from './story.ts';

const BEGINNING =
  'And it came to pass at evening, that a stranger stood before the gate of the city, and the watchman said unto him, ' +
  'Whence comest thou? And he answered and said,';
/** Tokens of each ending. */
const TOKENS = 90;

/** What a fork took, as it was measured. */
export interface ForkCost {
  /** The size of the file that holds the state. */
  readonly bytes: number;
  /** The time to save the state and to open it twice. */
  readonly milliseconds: number;
  /** Tokens of the beginning. */
  readonly tokens: number;
}

/** One beginning, read once, and two endings that go on from its state at the same time. */
export class Forks extends Section {
  beginning = BEGINNING;
  branches: readonly Branch[] = [];
  cost: ForkCost | undefined;
  readonly #model: SharedModel;
  #seed = 1;

  constructor(changed: () => void, model: SharedModel) {
    super(changed);
    this.#model = model;
  }

  setBeginning(beginning: string): void {
    this.beginning = beginning;
    this.changed();
  }

  write(): Promise<void> {
    return this.run(async (signal) => {
      const { lm } = await this.#model.load(signal);
      const before = this.branches;
      const { branches, cost } = await this.#fork(lm, signal);
      this.branches = branches;
      this.cost = cost;
      for (const { session } of before) await session.dispose();
      const options = { ...SAMPLING, maxTokens: TOKENS, seed: this.#seed, signal };
      this.#seed += branches.length;
      await writeEndings(lm, branches, options, this.changed);
    });
  }

  /** Reads the beginning, and opens its state twice. */
  async #fork(
    lm: WorkerLanguageModel,
    signal: AbortSignal,
  ): Promise<{ readonly branches: readonly Branch[]; readonly cost: ForkCost }> {
    const parent = await this.#model.begin('the beginning', signal);
    try {
      await parent.read(lm, this.beginning, signal, () => {});
      const begin = performance.now();
      const { branches, file } = await openEndings(lm, parent, { firstId: 1, nameOf: (id) => `Ending ${id}` });
      const milliseconds = performance.now() - begin;
      return { branches, cost: { bytes: file.length, milliseconds, tokens: parent.length } };
    } finally {
      await parent.session.dispose();
    }
  }
}
