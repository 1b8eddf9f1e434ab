import { proposed } from '../components/backend-choice.tsx';
import { download } from '../download.ts';
import { errorWords, type Remedies } from '../error-words.ts';
import { count } from '../format.ts';
import { SHIPPED } from '../source.ts';
import type { BackendName, BackendReport } from '../worker/protocol.ts';
import { Heads } from './heads.ts';
import { rightWords } from './summary.ts';
import { Tuning } from './tuning.ts';
import type { FineTuneOptions, HeadsOptions, WriteOptions } from './worker/protocol.ts';
import { startWorker } from './worker/start-worker.ts';

/** What users do about an error here, where its own remedy is for programs. */
const REMEDIES = {
  'device-lost': 'Start again.',
  'not-finite': 'Take a lower learning rate, and start again.',
  unavailable: 'Choose another backend under “Train on”, and start again.',
};

/** The state and the actions of the training page, without its components. It calls `changed` after every change. */
export class Training {
  backends: readonly BackendReport[] | undefined;
  readonly heads: Heads;
  readonly tuning: Tuning;
  /** The text of the status line. */
  status = '';
  error: string | undefined;
  #chosen: BackendName | undefined;
  readonly #changed: () => void;
  readonly #remedies: Remedies;

  /** @param remedies What readers of the page do about an error, by its code. */
  constructor(changed: () => void, remedies: Remedies = REMEDIES) {
    this.#changed = changed;
    this.#remedies = remedies;
    this.heads = new Heads(changed);
    this.tuning = new Tuning(changed);
  }

  /** The backend to train on: the one that was chosen, or the first that runs. */
  get backend(): BackendName | undefined {
    return this.#chosen ?? proposed(this.backends);
  }

  /** Whether something is computed now; there is one thing at a time. */
  get busy(): boolean {
    return this.heads.active || this.tuning.active;
  }

  async probe(): Promise<void> {
    const worker = startWorker();
    try {
      this.backends = await worker.call('probe', undefined);
    } catch (error) {
      this.backends = [];
      this.error = errorWords(error, this.#remedies);
    } finally {
      worker.end();
    }
    this.#changed();
  }

  choose(backend: BackendName): void {
    this.#chosen = backend;
    this.#changed();
  }

  async startHeads(options: Omit<HeadsOptions, 'backend'>): Promise<void> {
    const { backend } = this;
    if (this.busy || backend === undefined) return;
    await this.#run('Training …', () => this.heads.start({ ...options, backend }), this.#headsWords);
  }

  async continueHeads(): Promise<void> {
    if (this.busy) return;
    await this.#run('Training …', () => this.heads.continue(), this.#headsWords);
  }

  resetHeads(): void {
    this.heads.reset();
    this.#say('The training is reset.');
  }

  async fineTune(options: Omit<FineTuneOptions, 'backend' | 'model'>): Promise<void> {
    const { backend } = this;
    if (this.busy || backend === undefined) return;
    const model = new URL(SHIPPED, document.baseURI).href;
    await this.#run(
      'Measuring the model as it is …',
      () => this.tuning.start({ ...options, backend, model }),
      () => {
        const { before, after } = this.tuning;
        if (before === undefined || after === undefined) return 'The fine-tuning was cancelled.';
        return `Tuned: the held-out loss went from ${before.measured.loss.toFixed(2)} to ${after.loss.toFixed(2)}.`;
      },
    );
  }

  /** Cancels a fine-tuning, or forgets the tuned model. */
  resetTuning(): void {
    this.tuning.reset();
    this.#say('The fine-tuning is reset.');
  }

  async write(options: WriteOptions): Promise<void> {
    if (this.busy) return;
    await this.#run(
      'Writing …',
      () => this.tuning.write(options),
      () => 'The text is written.',
    );
  }

  async save(): Promise<void> {
    if (this.busy) return;
    await this.#run(
      'Saving …',
      async () => download(await this.tuning.save(), 'model.safetensors'),
      () => 'Saved as model.safetensors.',
    );
  }

  /** Ends the workers, when the page is left. */
  leave(): void {
    if (this.heads.options === undefined && this.tuning.options === undefined) return;
    this.heads.reset();
    this.tuning.reset();
    this.#say('The training ended when the page was left.');
  }

  dismissError(): void {
    this.error = undefined;
    this.#changed();
  }

  readonly #headsWords = (): string => {
    const { phase, losses, accuracies, options } = this.heads;
    if (phase === 'none') return this.status;
    const last = accuracies.at(-1);
    const found = last === undefined || options === undefined ? '' : `: ${rightWords(last.results, options.lengths)}`;
    return `${phase === 'done' ? 'Done' : 'Paused'} after ${count(losses.length, 'step')}${found}.`;
  };

  #say(words: string): void {
    this.status = words;
    this.#changed();
  }

  /** Runs an action, and says how it began and ended. */
  async #run(beginning: string, act: () => Promise<void>, ending: () => string): Promise<void> {
    this.error = undefined;
    this.#say(beginning);
    try {
      await act();
      this.#say(ending());
    } catch (error) {
      this.error = errorWords(error, this.#remedies);
      this.#say('It failed, for the reason above.');
    }
  }
}
