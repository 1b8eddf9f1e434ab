import type { DeltaMap } from '@mamba/lm';
import type { WorkerLanguageModel, WorkerSelection } from '@mamba/lm/worker';
import { type Branch, type Transcript, textOf } from '../branch.ts';
import { type Alignment, align } from './align.ts';
import type { Scale } from './summary.ts';

/** A view of delta over a branch's text. */
export interface Look {
  readonly map: DeltaMap;
  /** The text of each token. */
  readonly labels: readonly string[];
  readonly branch: Branch;
  /** Where the tokens lie in the branch's text. */
  readonly place: Alignment;
  /** Tokens of the session before the first of the map. */
  readonly skipped: number;
}

/** What is chosen of a look. */
export interface View {
  /** Infinite for the last one. */
  readonly token: number;
  /** -1 for all. */
  readonly layer: number;
  readonly scale: Scale;
}

/** The view of a look before anything is chosen. */
export const INITIAL_VIEW: View = { token: Number.POSITIVE_INFINITY, layer: -1, scale: 'layer' };

/** Most tokens of a map. */
const MOST_TOKENS = 512;
/** Least milliseconds between two looks while the model writes. */
const INTERVAL = 600;
/** A look while the model writes may take one part of the time in this many. */
const SHARE = 5;

/** Computes delta of the texts of one model's branches. It calls `changed` after every change. */
export class Looks {
  look: Look | undefined;
  looking = false;
  /** When the last look ended, as `performance.now()` counts. */
  ended = 0;
  readonly #lm: WorkerLanguageModel;
  readonly #changed: () => void;
  /** The model's selection, which is opened with the first look at it. */
  #selection: Promise<WorkerSelection> | undefined;
  readonly #labels = new Map<number, string>();
  /** Counts the requests for a look, so that an outdated one is not shown. */
  #turn = 0;
  #looked: Transcript | undefined;
  /** The branch that the last look is of, or will be. */
  #branch: Branch | undefined;
  /** When the last look was due that was not asked for, and how many milliseconds the last one took. */
  #dueAt = 0;
  #took = 0;

  constructor(lm: WorkerLanguageModel, changed: () => void) {
    this.#lm = lm;
    this.#changed = changed;
  }

  /**
   * Computes delta of a branch's text. The result is dropped where another look began meanwhile.
   * @throws the error of the worker.
   */
  async refresh(branch: Branch): Promise<void> {
    if (branch.transcript.ids.length === 0) {
      this.forget();
      return;
    }
    this.#branch = branch;
    // A transcript never changes, so the same one has the same look: a fork has that of the branch it comes from.
    if (branch.transcript === this.#looked) {
      if (this.look === undefined || this.looking) return;
      this.look = { ...this.look, branch };
      this.#changed();
      return;
    }
    this.#looked = branch.transcript;
    const turn = ++this.#turn;
    this.looking = true;
    this.#changed();
    try {
      const begin = performance.now();
      const { ids: all } = branch.transcript;
      const text = textOf(branch.transcript);
      const before = branch.length - all.length;
      const ids = all.slice(-MOST_TOKENS);
      const labels = await this.#labelsOf(ids);
      if (turn !== this.#turn) return;
      this.#selection ??= this.#lm.openSelection();
      const map = await (await this.#selection).deltas(ids);
      if (turn !== this.#turn) return;
      this.look = {
        ...{ map, labels, branch: this.#branch! },
        ...{ place: align(text, labels), skipped: before + all.length - ids.length },
      };
      this.#took = performance.now() - begin;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.release();
      throw error;
    }
    this.looking = false;
    this.ended = performance.now();
    this.#changed();
  }

  /** Whether the last look is long enough ago that another one may be taken while the model writes. */
  isDue(): boolean {
    const now = performance.now();
    if (this.looking || now - this.#dueAt < Math.max(INTERVAL, SHARE * this.#took)) return false;
    this.#dueAt = now;
    return true;
  }

  /** Shows none, and drops the one that is computed now. */
  forget(): void {
    this.#turn++;
    this.#looked = undefined;
    this.look = undefined;
    this.looking = false;
    this.#changed();
  }

  /** Forgets the look, and frees what the worker keeps for the next one. */
  release(): void {
    void this.#selection?.then(
      (selection) => selection.dispose(),
      () => {},
    );
    this.#selection = undefined;
    this.forget();
  }

  async #labelsOf(ids: readonly number[]): Promise<readonly string[]> {
    const lm = this.#lm;
    if (!lm.info.hasTokenizer) return ids.map(String);
    const unknown = [...new Set(ids)].filter((id) => !this.#labels.has(id));
    const texts = await Promise.all(unknown.map((id) => lm.decode([id])));
    for (const [index, id] of unknown.entries()) this.#labels.set(id, texts[index]! || `<${id}>`);
    return ids.map((id) => this.#labels.get(id)!);
  }
}
