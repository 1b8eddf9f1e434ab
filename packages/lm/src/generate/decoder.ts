import type { HostTensor, MambaError, Model, ModelState, SampleOptions, Tensor } from '@mamba/core';
import { likeliest, logSumExp, type TokenLogProb } from '../sampling/log-softmax.ts';
import type { Sampling } from '../sampling/options.ts';
import { PenaltyWindow } from '../sampling/penalty-window.ts';
import { distribution, draw } from '../sampling/sample-logits.ts';
import { decides, notFinite } from './not-finite.ts';
import type { Generation } from './options.ts';

/** A token that was generated. */
export interface GeneratedToken {
  readonly id: number;
  /** In nats, under the model: before bias, penalties, temperature and filters. Undefined unless asked for. */
  readonly logProb: number | undefined;
  /** The likeliest tokens at this place, likeliest first; undefined unless asked for. */
  readonly topLogProbs: readonly TokenLogProb[] | undefined;
}

/** What a row was given by one `advance`. */
export interface Drawn {
  readonly tokens: readonly GeneratedToken[];
  /**
   * Set where no token follows these, since the logits are no numbers: the ids that were fed, for `Decoder.explain`.
   * The row has to leave.
   */
  readonly broken?: readonly number[];
}

/** A sequence as a decoder goes on with it. */
export interface Row extends Pick<Generation, 'sampling' | 'uniform' | 'logProbs' | 'topLogProbs'> {
  /** What the penalties count; absent without penalties. */
  readonly window: PenaltyWindow | undefined;
  /** The last token: known, but not fed yet. */
  last: number;
}

/** @param previous The tokens so far, the last one included, as far as the penalties are to see them. */
export function newRow(generation: Generation, previous: ArrayLike<number>): Row {
  const { sampling, uniform, logProbs, topLogProbs } = generation;
  const window = sampling.penalizes ? new PenaltyWindow(sampling.penaltyWindow, previous) : undefined;
  return { sampling, uniform, logProbs, topLogProbs, window, last: previous[previous.length - 1]! };
}

/** A state, and the ids that have not been fed to it yet. */
export interface Position {
  /** Zero if absent. */
  readonly state: ModelState | undefined;
  readonly pending: readonly number[];
}

/**
 * Rows that are generated together. The state has been fed all tokens but each row's last. A decoder that keeps also
 * holds the state before the latest tokens, so that it can settle anywhere among them: states cannot be cut, only kept.
 */
export class Decoder {
  readonly #model: Model;
  readonly #keeps: boolean;
  #rows: readonly Row[];
  #state: Held;
  /** Before the latest `advance`, where it is kept. */
  #before: Before | undefined;

  /** @param state Of as many rows as there are. It becomes the decoder's own unless `borrowed`. */
  constructor(
    model: Model,
    rows: readonly Row[],
    state: ModelState | undefined,
    options: { readonly borrowed?: boolean; readonly keeps?: boolean } = {},
  ) {
    this.#model = model;
    this.#rows = rows;
    this.#state = { state, owned: options.borrowed !== true };
    this.#keeps = options.keeps === true;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  /**
   * Generates at least one token a row, at most `count`: for each row the same number of them, but for those that
   * broke. Where sampling is on the device, none of them waits for another. Nothing has changed where it throws, but
   * random numbers may be gone.
   */
  async advance(count: number): Promise<readonly Drawn[]> {
    const rows = this.#rows;
    const onHost = rows.some(({ sampling, topLogProbs }) => !sampling.onDevice || topLogProbs > 0);
    const alike = rows.every(({ sampling, logProbs }) => !logProbs && sameFilter(sampling, rows[0]!.sampling));
    const step = onHost ? this.#host() : alike ? this.#fused(count) : this.#stepwise(count);
    const { tokens, state } = await step;
    const drawn = tokens.map((row, index) => untilBroken(row, rows[index]!.last));
    this.#take(state, drawn);
    return drawn;
  }

  /** Why a row of the latest `advance` broke. */
  async explain(row: number, broken: readonly number[]): Promise<MambaError> {
    const state = this.#before?.held.state ?? this.#state.state;
    const own = state && this.#model.gatherState([{ state, row }]);
    try {
      return await notFinite({ model: this.#model, ids: broken, state: own });
    } finally {
      own?.dispose();
    }
  }

  /** Lets go of all rows but these, in this order. */
  select(indices: readonly number[]): void {
    const selected = this.#gather(indices.map((row) => ({ state: this.#state.state!, row })));
    this.#rows = indices.map((index) => this.#rows[index]!);
    this.#replace(selected);
  }

  /** Adds rows whose tokens, but the last, the state has been fed; the state becomes the decoder's own. */
  join(rows: readonly Row[], state: ModelState): void {
    const own = this.#rows.map((_, row) => ({ state: this.#state.state!, row }));
    const merged = own.length === 0 ? state : this.#gather([...own, ...rows.map((_, row) => ({ state, row }))]);
    if (merged !== state) state.dispose();
    this.#rows = [...this.#rows, ...rows];
    this.#replace(merged);
  }

  /**
   * Ends a decoder of one row that keeps: the position after `given` of the latest tokens, or before anything was
   * generated. The state of it is the caller's from here on if `owned`, and is what the decoder borrowed otherwise.
   */
  settle(given: number): Position & { readonly owned: boolean } {
    const current = this.#state;
    const before = this.#before;
    this.#state = NOTHING;
    this.#before = undefined;
    if (before === undefined) return { ...current, pending: [this.#rows[0]!.last] };
    if (given === before.drawn.length && !before.broken) {
      release(before.held);
      return { ...current, pending: [before.drawn[given - 1]!] };
    }
    release(current);
    return { ...before.held, pending: [before.lasts[0]!, ...before.drawn.slice(0, given)] };
  }

  dispose(): void {
    if (this.#before !== undefined) release(this.#before.held);
    release(this.#state);
    this.#before = undefined;
    this.#state = NOTHING;
  }

  /** All rows are chosen by the same rule: the model's own decode. */
  async #fused(count: number): Promise<Advance> {
    const { backend } = this.#model;
    const uniform = this.#upload(count, this.#rows);
    try {
      const result = this.#model.decode(this.#lasts(), this.#state.state, {
        count,
        donateState: this.#donates(),
        ...(uniform && { ...deviceFilter(this.#rows[0]!.sampling), uniform }),
      });
      return await this.#finish(result.state, [result.ids], async () => {
        const ids = await backend.read(result.ids);
        return this.#rows.map((_, row) => plainTokens(ids.subarray(row * count, (row + 1) * count)));
      });
    } finally {
      uniform?.dispose();
    }
  }

  /** Rows of several rules, or log-probabilities: forward and draw, token by token, still without waiting. */
  async #stepwise(count: number): Promise<Advance> {
    const { backend } = this.#model;
    const uniforms: (Tensor | undefined)[] = [];
    const made: Tensor[] = [];
    const wanted = this.#rows.some(({ logProbs }) => logProbs);
    let current = this.#state.state;
    try {
      for (const row of this.#rows) uniforms.push(this.#upload(count, [row]));
      const ids: Tensor[] = [];
      const logProbs: Tensor[] = [];
      for (let index = 0; index < count; index++) {
        // The first state is kept until everything has succeeded: nothing has changed where a step throws.
        const { logits, state } = this.#model.forward(ids[index - 1] ?? this.#lasts(), {
          state: current,
          donateState: index > 0,
        });
        current = state;
        made.push(logits!);
        const drawn = this.#drawOnDevice(logits!, uniforms, index, made);
        ids.push(drawn);
        if (wanted) {
          const values = backend.logProb(logits!, drawn);
          made.push(values);
          logProbs.push(values);
        }
      }
      const [idTable, logProbTable] = await Promise.all([readColumns(backend, ids), readColumns(backend, logProbs)]);
      const tokens = this.#rows.map(({ logProbs: given }, row) =>
        Array.from({ length: count }, (_, index) => ({
          id: idTable[index]![row]!,
          logProb: given ? logProbTable[index]![row]! : undefined,
          topLogProbs: undefined,
        })),
      );
      const state = current!;
      current = this.#state.state;
      return { tokens, state };
    } finally {
      if (current !== this.#state.state) current?.dispose();
      for (const tensor of [...made, ...uniforms]) tensor?.dispose();
    }
  }

  /** One token a row out of logits on the host. */
  async #host(): Promise<Advance> {
    const { logits, state } = this.#model.forward(this.#lasts(), {
      state: this.#state.state,
      donateState: this.#donates(),
    });
    return this.#finish(state, [logits!], async () => {
      const values = (await this.#model.backend.read(logits!)) as Float32Array | Float64Array;
      const vocab = this.#model.config.vocabSize;
      return this.#rows.map((row, index) => [
        drawOnHost(values.subarray(index * vocab, (index + 1) * vocab), row, row.window),
      ]);
    });
  }

  /** Reads what was computed, and frees it; the state too where that fails. */
  async #finish(
    state: ModelState,
    tensors: readonly Tensor[],
    read: () => Promise<readonly (readonly GeneratedToken[])[]>,
  ): Promise<Advance> {
    try {
      return { tokens: await read(), state };
    } catch (error) {
      // Given away already, so that no state is left; a device that cannot be read has none either.
      if (this.#donates()) this.#state = NOTHING;
      state.dispose();
      throw error;
    } finally {
      for (const tensor of tensors) tensor.dispose();
    }
  }

  #drawOnDevice(logits: Tensor, uniforms: readonly (Tensor | undefined)[], index: number, made: Tensor[]): Tensor {
    const { backend } = this.#model;
    const track = (tensor: Tensor): Tensor => {
      made.push(tensor);
      return tensor;
    };
    const many = this.#rows.length > 1;
    const ids = this.#rows.map(({ sampling }, row) => {
      const own = many ? track(backend.slice(logits, 0, row, row + 1)) : logits;
      const column = uniforms[row];
      if (column === undefined) return track(backend.argmax(own, { checked: true }));
      const uniform = track(backend.slice(column, 1, index, index + 1));
      return track(backend.sample(own, uniform, { ...deviceFilter(sampling), checked: true }));
    });
    return many ? track(backend.concat(ids, 0)) : ids[0]!;
  }

  /** Random numbers `[rows, count]` of the rows' own; undefined where none of them draws. */
  #upload(count: number, rows: readonly Row[]): Tensor | undefined {
    if (rows.every(({ uniform }) => uniform === undefined)) return undefined;
    const data = Float64Array.from({ length: rows.length * count }, (_, at) =>
      rows[Math.floor(at / count)]!.uniform!(),
    );
    const host: HostTensor = { dtype: 'float64', shape: [rows.length, count], data };
    return this.#model.backend.upload(host);
  }

  #lasts(): readonly (readonly number[])[] {
    return this.#rows.map(({ last }) => [last]);
  }

  #donates(): boolean {
    return this.#state.owned && !this.#keeps && this.#state.state !== undefined;
  }

  #take(state: ModelState, drawn: readonly Drawn[]): void {
    const [held, lasts] = [this.#state, this.#rows.map(({ last }) => last)];
    for (const [index, row] of this.#rows.entries()) row.last = drawn[index]!.tokens.at(-1)?.id ?? row.last;
    this.#state = { state, owned: true };
    if (!this.#keeps) {
      release(held);
      return;
    }
    if (this.#before !== undefined) release(this.#before.held);
    const [first] = drawn;
    this.#before = { held, lasts, drawn: first!.tokens.map(({ id }) => id), broken: first!.broken !== undefined };
  }

  #gather(rows: readonly { readonly state: ModelState; readonly row: number }[]): ModelState | undefined {
    return rows.length === 0 ? undefined : this.#model.gatherState(rows);
  }

  #replace(state: ModelState | undefined): void {
    if (state !== this.#state.state) release(this.#state);
    this.#state = { state, owned: true };
  }
}

/** Chooses by the row's rule, and counts the token for its penalties; -1 where no token follows. */
function drawOnHost(
  logits: Float32Array | Float64Array,
  { sampling, uniform, logProbs, topLogProbs }: Omit<Row, 'last' | 'window'>,
  window: PenaltyWindow | undefined,
): GeneratedToken {
  if (!decides(logits)) return { id: BROKEN, logProb: undefined, topLogProbs: undefined };
  const id = draw(distribution(logits, sampling, window), uniform?.() ?? 0);
  window?.push(id);
  return describeToken(logits, id, { logProbs, topLogProbs });
}

export function describeToken(
  logits: Float32Array | Float64Array,
  id: number,
  { logProbs, topLogProbs }: Pick<Row, 'logProbs' | 'topLogProbs'>,
): GeneratedToken {
  return {
    id,
    logProb: logProbs ? logits[id]! - logSumExp(logits) : undefined,
    topLogProbs: topLogProbs > 0 ? likeliest(logits, topLogProbs) : undefined,
  };
}

/** In the place of an id, as a checked choice on the device gives it: no token follows. */
const BROKEN = -1;

function untilBroken(tokens: readonly GeneratedToken[], last: number): Drawn {
  const end = tokens.findIndex(({ id }) => id === BROKEN);
  if (end < 0) return { tokens };
  const before = tokens.slice(0, end);
  return { tokens: before, broken: [last, ...before.map(({ id }) => id)] };
}

/** What a decoder that keeps was at, and what was drawn since. */
interface Before {
  readonly held: Held;
  readonly lasts: readonly number[];
  readonly drawn: readonly number[];
  /** The state after these is of no use. */
  readonly broken: boolean;
}

interface Held {
  readonly state: ModelState | undefined;
  readonly owned: boolean;
}

interface Advance {
  readonly tokens: readonly (readonly GeneratedToken[])[];
  readonly state: ModelState;
}

const NOTHING: Held = { state: undefined, owned: true };

function release({ state, owned }: Held): void {
  if (owned) state?.dispose();
}

function deviceFilter({ temperature, topK, topP, minP }: Sampling): SampleOptions {
  return { temperature, topK, topP, minP };
}

function sameFilter(a: Sampling, b: Sampling): boolean {
  return a.temperature === b.temperature && a.topK === b.topK && a.topP === b.topP && a.minP === b.minP;
}

function plainTokens(ids: ArrayLike<number>): readonly GeneratedToken[] {
  return Array.from(ids, (id) => ({ id, logProb: undefined, topLogProbs: undefined }));
}

function readColumns(backend: Model['backend'], columns: readonly Tensor[]): Promise<readonly ArrayLike<number>[]> {
  return Promise.all(columns.map((column) => backend.read(column)));
}
