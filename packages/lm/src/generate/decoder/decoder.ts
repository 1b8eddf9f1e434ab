import type { MambaError, Model, ModelState } from '@mamba/core';
import type { Sampling } from '../../sampling/options.ts';
import { notFinite } from '../not-finite.ts';
import { decodeOnDevice } from './device.ts';
import { decodeOnHost } from './host.ts';
import type { GeneratedToken, Sequence, SequenceState } from './sequence.ts';
import { decodeStepwise } from './stepwise.ts';
import { NOT_FINITE } from './strategy.ts';

/** The tokens that one `advance` gave to a sequence. */
export interface SequenceOutput {
  readonly tokens: readonly GeneratedToken[];
  /**
   * Set if the logits after these tokens are not finite: the ids that were fed, for `Decoder.explain`. The sequence
   * cannot continue.
   */
  readonly failedIds?: readonly number[];
}

/**
 * Owns the state of sequences that are generated together: one row for each, fed all ids but the sequence's last.
 * With `keepsPrevious` it also holds the state before the latest tokens, so that `settle` and `copyRow` can stop after
 * any of them: a state cannot be truncated.
 */
export class Decoder {
  /** Takes effect at the next `advance`. */
  keepsPrevious: boolean;
  readonly #model: Model;
  #sequences: readonly Sequence[];
  #current: OwnedState;
  /** With `keepsPrevious`, set after the first `advance`. */
  #previous: Previous | undefined;

  /** @param state One row for each sequence. The decoder takes ownership unless `borrowed`. */
  constructor(
    model: Model,
    sequences: readonly Sequence[],
    state: ModelState | undefined,
    options: { readonly borrowed?: boolean; readonly keepsPrevious?: boolean } = {},
  ) {
    this.#model = model;
    this.#sequences = sequences;
    this.#current = { state, owned: options.borrowed !== true };
    this.keepsPrevious = options.keepsPrevious === true;
  }

  /**
   * Generates from 1 to `count` tokens, the same number for each sequence whose logits stay finite. Sampling on the
   * device takes several tokens without waiting. If it throws, nothing has changed except that random numbers may have
   * been drawn; without `keepsPrevious` the state may be lost, and the decoder can then only be disposed.
   */
  async advance(count: number): Promise<readonly SequenceOutput[]> {
    const sequences = this.#sequences;
    const before = sequences.map(({ lastId }) => lastId);
    const { state: current, owned } = this.#current;
    const batchState = { state: current, donate: owned && !this.keepsPrevious && current !== undefined };
    const { tokens, state } = await strategyFor(sequences)(this.#model, sequences, batchState, count);
    const outputs = tokens.map((made, row) => untilNotFinite(made, before[row]!));
    for (const [row, sequence] of sequences.entries())
      sequence.lastId = outputs[row]!.tokens.at(-1)?.id ?? sequence.lastId;
    this.#take(state, before, outputs);
    return outputs;
  }

  /** The error for a sequence that the latest `advance` gave `failedIds`. */
  async explain(row: number, failedIds: readonly number[]): Promise<MambaError> {
    const state = this.#previous?.held.state ?? this.#current.state;
    const own = state && this.#model.gatherState([{ state, row }]);
    try {
      return await notFinite({ model: this.#model, ids: failedIds, state: own });
    } finally {
      own?.dispose();
    }
  }

  /** Drops all sequences but those at these indices, which are reordered. */
  select(indices: readonly number[]): void {
    const selected = this.#gather(indices.map((row) => ({ state: this.#current.state!, row })));
    this.#sequences = indices.map((index) => this.#sequences[index]!);
    this.#replace(selected);
    this.#forget();
  }

  /**
   * Appends sequences.
   * @param state One row for each, fed all ids but the last. The decoder takes ownership.
   */
  join(sequences: readonly Sequence[], state: ModelState): void {
    const own = this.#sequences.map((_, row) => ({ state: this.#current.state!, row }));
    const merged = own.length === 0 ? state : this.#gather([...own, ...sequences.map((_, row) => ({ state, row }))]);
    if (merged !== state) state.dispose();
    this.#sequences = [...this.#sequences, ...sequences];
    this.#replace(merged);
    this.#forget();
  }

  /**
   * Copies the state of one sequence of several, which go on. To be called before any is dropped or appended.
   * @param given How many of the latest tokens count.
   * @returns the state after those; its model state is the caller's to dispose.
   */
  copyRow(row: number, given: number): SequenceState {
    const before = this.#previous?.rows[row];
    const copy = (state: ModelState | undefined): ModelState | undefined =>
      state && this.#model.gatherState([{ state, row }]);
    if (before === undefined || (given === before.generated.length && !before.failed))
      return { state: copy(this.#current.state), pending: [this.#sequences[row]!.lastId] };
    const pending = [before.lastId, ...before.generated.slice(0, given)];
    return { state: copy(this.#previous!.held.state), pending };
  }

  /**
   * Ends a decoder of one sequence with `keepsPrevious`.
   * @param given How many of the latest tokens count; none if nothing was generated.
   * @returns the state after those. If `owned`, its model state is the caller's to dispose; otherwise it was borrowed.
   */
  settle(given: number): SequenceState & { readonly owned: boolean } {
    const current = this.#current;
    const previous = this.#previous;
    this.#current = NOTHING;
    this.#previous = undefined;
    const before = previous?.rows[0];
    if (before === undefined) return { ...current, pending: [this.#sequences[0]!.lastId] };
    const { lastId, generated, failed } = before;
    if (given === generated.length && !failed) {
      release(previous!.held);
      return { ...current, pending: [generated[given - 1]!] };
    }
    release(current);
    return { ...previous!.held, pending: [lastId, ...generated.slice(0, given)] };
  }

  dispose(): void {
    this.#forget();
    release(this.#current);
    this.#current = NOTHING;
  }

  #forget(): void {
    if (this.#previous !== undefined) release(this.#previous.held);
    this.#previous = undefined;
  }

  #take(state: ModelState, lastIds: readonly number[], outputs: readonly SequenceOutput[]): void {
    const held = this.#current;
    this.#current = { state, owned: true };
    this.#forget();
    if (!this.keepsPrevious) {
      release(held);
      return;
    }
    const rows = outputs.map(({ tokens, failedIds }, row) => {
      const generated = tokens.map(({ id }) => id);
      return { lastId: lastIds[row]!, generated, failed: failedIds !== undefined };
    });
    this.#previous = { held, rows };
  }

  #gather(rows: readonly { readonly state: ModelState; readonly row: number }[]): ModelState | undefined {
    return rows.length === 0 ? undefined : this.#model.gatherState(rows);
  }

  #replace(state: ModelState | undefined): void {
    if (state !== this.#current.state) release(this.#current);
    this.#current = { state, owned: true };
  }
}

function strategyFor(
  sequences: readonly Sequence[],
): typeof decodeOnHost | typeof decodeOnDevice | typeof decodeStepwise {
  if (sequences.some(({ sampling, topLogProbs }) => !sampling.onDevice || topLogProbs > 0)) return decodeOnHost;
  const [first] = sequences;
  const alike = sequences.every(({ sampling, logProbs }) => !logProbs && sameFilter(sampling, first!.sampling));
  return alike ? decodeOnDevice : decodeStepwise;
}

function sameFilter(a: Sampling, b: Sampling): boolean {
  return a.temperature === b.temperature && a.topK === b.topK && a.topP === b.topP && a.minP === b.minP;
}

function untilNotFinite(tokens: readonly GeneratedToken[], lastId: number): SequenceOutput {
  const end = tokens.findIndex(({ id }) => id === NOT_FINITE);
  if (end < 0) return { tokens };
  const valid = tokens.slice(0, end);
  return { tokens: valid, failedIds: [lastId, ...valid.map(({ id }) => id)] };
}

/** The state before the latest `advance`, and what that generated. */
interface Previous {
  readonly held: OwnedState;
  /** In the order of the sequences. */
  readonly rows: readonly PreviousRow[];
}

interface PreviousRow {
  readonly lastId: number;
  readonly generated: readonly number[];
  /** The logits after these ids are not finite, so the state after them is useless. */
  readonly failed: boolean;
}

interface OwnedState {
  readonly state: ModelState | undefined;
  readonly owned: boolean;
}

const NOTHING: OwnedState = { state: undefined, owned: true };

/** Does nothing to a state that the backend disposed after it was donated. */
function release({ state, owned }: OwnedState): void {
  if (owned) state?.dispose();
}
