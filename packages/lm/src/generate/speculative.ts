import type { Model, ModelState } from '@mamba/core';
import type { PenaltyWindow } from '../sampling/penalty-window.ts';
import { distribution, draw } from '../sampling/sample-logits.ts';
import { describeToken, type GeneratedToken, type Sequence } from './decoder/sequence.ts';
import { allFinite, notFinite } from './not-finite.ts';

/**
 * Speculative sampling (arXiv 2211.17192, algorithm 1). The draft model draws x_1 … x_k, each from its own q_i. One
 * forward pass of the target model over them gives p_1 … p_(k+1). x_i is accepted with probability
 * min(1, p_i(x_i) / q_i(x_i)); the first rejected one is replaced by a draw from max(0, p_i - q_i). If all are
 * accepted, x_(k+1) is drawn from p_(k+1). p and q are the distributions after all sampling options, so that at
 * temperature 0 a guess is accepted if it is the target model's own choice.
 *
 * The states of both models before the guesses are kept: after a rejection the accepted tokens are fed to them again.
 */
export class SpeculativeDecoder {
  readonly #model: Model;
  readonly #draft: Model;
  readonly #sequence: Sequence;
  readonly #guesses: number;
  /** After all ids but the last; zero if undefined. */
  #state: ModelState | undefined;
  #draftState: ModelState | undefined;
  #window: PenaltyWindow | undefined;

  /** Takes ownership of both states. @param draft `tokens`: guesses for each forward pass of the target model. */
  constructor(
    model: Model,
    sequence: Sequence,
    state: ModelState | undefined,
    draft: { readonly model: Model; readonly tokens: number; readonly state: ModelState | undefined },
  ) {
    this.#model = model;
    this.#sequence = sequence;
    this.#state = state;
    this.#draft = draft.model;
    this.#guesses = draft.tokens;
    this.#draftState = draft.state;
    this.#window = sequence.window;
  }

  /** Generates from 1 to `count` tokens. */
  async advance(count: number): Promise<readonly GeneratedToken[]> {
    const owned = new Set<ModelState>();
    try {
      // k guesses give up to k + 1 tokens.
      const guesses = await this.#guess(Math.min(this.#guesses, count - 1), owned);
      const { tokens, logits, state } = await this.#verify(guesses, owned);
      const fed = [this.#sequence.lastId, ...tokens.slice(0, -1).map(({ id }) => id)];
      const allAccepted = fed.length === guesses.length + 1;
      const next = allAccepted ? state : feed(this.#model, fed, this.#state, owned);
      // The draft model has been fed the last id and all guesses but the last.
      const draftNext = guesses[fed.length - 1]?.state ?? feed(this.#draft, fed, this.#draftState, owned);
      this.#replace(next, draftNext, owned);
      this.#sequence.lastId = tokens.at(-1)!.id;
      for (const { id } of tokens) this.#window?.push(id);
      return tokens.map(({ id }, index) => describeToken(logits[index]!, id, this.#sequence));
    } finally {
      for (const state of owned) state.dispose();
    }
  }

  /** The target model's state after all ids but the last, which the decoder owns; zero if undefined. */
  get state(): ModelState | undefined {
    return this.#state;
  }

  dispose(): void {
    this.#state?.dispose();
    this.#draftState?.dispose();
    this.#state = undefined;
    this.#draftState = undefined;
  }

  /** Draws `count` guesses. Adds every state that it makes to `owned`. */
  async #guess(count: number, owned: Set<ModelState>): Promise<readonly Guess[]> {
    const window = this.#window?.clone();
    const guesses: Guess[] = [];
    let [lastId, state] = [this.#sequence.lastId, this.#draftState];
    for (let index = 0; index < count; index++) {
      const result = this.#draft.forward([[lastId]], { state });
      state = result.state;
      owned.add(state);
      const [logits] = await readRows(this.#draft, result.logits!);
      if (!allFinite(logits!)) throw await notFinite({ model: this.#draft, ids: [lastId], state, who: 'the draft' });
      const q = normalized(distribution(logits!, this.#sequence.sampling, window));
      lastId = draw(q, this.#sequence.uniform?.() ?? 0);
      window?.push(lastId);
      guesses.push({ id: lastId, q, state });
    }
    return guesses;
  }

  /** Accepts or replaces guesses. Adds every state that it makes to `owned`. */
  async #verify(guesses: readonly Guess[], owned: Set<ModelState>): Promise<Verification> {
    const ids = [this.#sequence.lastId, ...guesses.map(({ id }) => id)];
    const result = this.#model.forward([ids], { state: this.#state, logits: 'all', chunk: ids.length });
    owned.add(result.state);
    const logits = await readRows(this.#model, result.logits!);
    const window = this.#window?.clone();
    const random = (): number => this.#sequence.uniform?.() ?? 0;
    const tokens: { id: number }[] = [];
    for (const [index, { id, q }] of guesses.entries()) {
      if (!allFinite(logits[index]!)) return this.#untilNotFinite({ tokens, logits, state: result.state }, ids);
      const p = normalized(distribution(logits[index]!, this.#sequence.sampling, window));
      // Strictly less: a probability of 0 is never accepted, and one of 1 always.
      if (random() * q[id]! < p[id]!) {
        tokens.push({ id });
        window?.push(id);
        continue;
      }
      const rest = p.map((value, token) => Math.max(0, value - q[token]!));
      // All of it is 0 only if rounding alone rejected the guess: then p equals q.
      tokens.push({ id: draw(rest.some((value) => value > 0) ? rest : p, random()) });
      return { tokens, logits, state: result.state };
    }
    if (!allFinite(logits[guesses.length]!)) return this.#untilNotFinite({ tokens, logits, state: result.state }, ids);
    tokens.push({ id: draw(distribution(logits[guesses.length]!, this.#sequence.sampling, window), random()) });
    return { tokens, logits, state: result.state };
  }

  /**
   * Returns the tokens accepted before logits that are not finite; the next `advance` then throws at its first.
   * @throws MambaError `not-finite` if there are none.
   */
  async #untilNotFinite(verification: Verification, ids: readonly number[]): Promise<Verification> {
    if (verification.tokens.length > 0) return verification;
    throw await notFinite({ model: this.#model, ids: ids.slice(0, 1), state: this.#state });
  }

  #replace(state: ModelState, draftState: ModelState, owned: Set<ModelState>): void {
    this.dispose();
    owned.delete(state);
    owned.delete(draftState);
    this.#state = state;
    this.#draftState = draftState;
  }
}

interface Guess {
  readonly id: number;
  /** `[vocabSize]`: the distribution that it was drawn from; the sum is 1. */
  readonly q: Float64Array;
  /** The draft model's state after the id before this one. */
  readonly state: ModelState;
}

interface Verification {
  /** The accepted guesses, and the token drawn after them. */
  readonly tokens: readonly { readonly id: number }[];
  /** `[vocabSize]` for each of the tokens: the target model's. */
  readonly logits: readonly (Float32Array | Float64Array)[];
  /** The target model's state after all guesses. */
  readonly state: ModelState;
}

function feed(
  model: Model,
  ids: readonly number[],
  before: ModelState | undefined,
  owned: Set<ModelState>,
): ModelState {
  const { state } = model.forward([ids], { state: before, logits: 'none', chunk: ids.length });
  owned.add(state);
  return state;
}

/** Reads and frees logits, as one array `[vocabSize]` for each position. */
async function readRows(
  model: Model,
  logits: NonNullable<ReturnType<Model['forward']>['logits']>,
): Promise<readonly (Float32Array | Float64Array)[]> {
  try {
    const values = (await model.backend.read(logits)) as Float32Array | Float64Array;
    const vocab = model.config.vocabSize;
    return Array.from({ length: values.length / vocab }, (_, row) => values.subarray(row * vocab, (row + 1) * vocab));
  } finally {
    logits.dispose();
  }
}

function normalized(weights: Float64Array): Float64Array {
  let total = 0;
  for (const weight of weights) total += weight;
  return weights.map((weight) => weight / total);
}
