import type { Model, ModelState } from '@mamba/core';
import type { PenaltyWindow } from '../sampling/penalty-window.ts';
import { distribution, draw } from '../sampling/sample-logits.ts';
import { describeToken, type GeneratedToken, type Position, type Row } from './decoder.ts';
import { decides, notFinite } from './not-finite.ts';

/**
 * Speculative sampling (arXiv 2211.17192, algorithm 1). The draft draws x_1 … x_k, each from its own q_i; one forward
 * of the model over them gives p_1 … p_(k+1); x_i is accepted with probability min(1, p_i(x_i) / q_i(x_i)), and the
 * first that is not is replaced by a draw from max(0, p_i - q_i). If all are, x_(k+1) is drawn from p_(k+1). p and q
 * are what the options leave of the models' distributions, so that at temperature 0 a guess is accepted where it is the
 * model's own choice.
 *
 * Both models' states before the guesses are kept, and are taken again where one is refused.
 */
export class SpeculativeDecoder {
  readonly #model: Model;
  readonly #draft: Model;
  readonly #row: Row;
  readonly #guesses: number;
  /** After all tokens but the last; undefined is zero. */
  #state: ModelState | undefined;
  #draftState: ModelState | undefined;
  #window: PenaltyWindow | undefined;

  /** Both states become the decoder's own. */
  constructor(
    model: Model,
    row: Row,
    state: ModelState | undefined,
    draft: { readonly model: Model; readonly tokens: number; readonly state: ModelState | undefined },
  ) {
    this.#model = model;
    this.#row = row;
    this.#state = state;
    this.#draft = draft.model;
    this.#guesses = draft.tokens;
    this.#draftState = draft.state;
    this.#window = row.window;
  }

  /** From 1 to `count` tokens. */
  async advance(count: number): Promise<readonly GeneratedToken[]> {
    const owned = new Set<ModelState>();
    try {
      // A round of k guesses gives up to k + 1 tokens.
      const guesses = await this.#guess(Math.min(this.#guesses, count - 1), owned);
      const { tokens, logits, state } = await this.#verify(guesses, owned);
      const fed = [this.#row.last, ...tokens.slice(0, -1).map(({ id }) => id)];
      const complete = fed.length === guesses.length + 1;
      const next = complete ? state : rewound(this.#model, fed, this.#state, owned);
      // The draft has read the last token and all guesses but the last.
      const draftNext = guesses[fed.length - 1]?.state ?? rewound(this.#draft, fed, this.#draftState, owned);
      this.#replace(next, draftNext, owned);
      this.#row.last = tokens.at(-1)!.id;
      for (const { id } of tokens) this.#window?.push(id);
      return tokens.map(({ id }, index) => describeToken(logits[index]!, id, this.#row));
    } finally {
      for (const state of owned) state.dispose();
    }
  }

  /** The state after all tokens but the last, which stays the decoder's. */
  get position(): Position {
    return { state: this.#state, pending: [this.#row.last] };
  }

  dispose(): void {
    this.#state?.dispose();
    this.#draftState?.dispose();
    this.#state = undefined;
    this.#draftState = undefined;
  }

  async #guess(count: number, owned: Set<ModelState>): Promise<readonly Guess[]> {
    const window = this.#window?.clone();
    const guesses: Guess[] = [];
    let [last, state] = [this.#row.last, this.#draftState];
    for (let index = 0; index < count; index++) {
      const result = this.#draft.forward([[last]], { state });
      state = result.state;
      owned.add(state);
      const [logits] = await readRows(this.#draft, result.logits!);
      if (!decides(logits!)) throw await notFinite({ model: this.#draft, ids: [last], state, who: 'the draft' });
      const q = normalized(distribution(logits!, this.#row.sampling, window));
      last = draw(q, this.#row.uniform?.() ?? 0);
      window?.push(last);
      guesses.push({ id: last, q, state });
    }
    return guesses;
  }

  async #verify(guesses: readonly Guess[], owned: Set<ModelState>): Promise<Verdict> {
    const ids = [this.#row.last, ...guesses.map(({ id }) => id)];
    const result = this.#model.forward([ids], { state: this.#state, logits: 'all', chunk: ids.length });
    owned.add(result.state);
    const logits = await readRows(this.#model, result.logits!);
    const window = this.#window?.clone();
    const random = (): number => this.#row.uniform?.() ?? 0;
    const tokens: { id: number }[] = [];
    for (const [index, { id, q }] of guesses.entries()) {
      if (!decides(logits[index]!)) return this.#untilBroken({ tokens, logits, state: result.state }, ids);
      const p = normalized(distribution(logits[index]!, this.#row.sampling, window));
      // Not `random() <= …`: a probability of 0 is never accepted, and one of 1 always.
      if (random() * q[id]! < p[id]!) {
        tokens.push({ id });
        window?.push(id);
        continue;
      }
      const rest = p.map((value, token) => Math.max(0, value - q[token]!));
      // Empty only where rounding alone refused the guess: then p is q.
      tokens.push({ id: draw(rest.some((value) => value > 0) ? rest : p, random()) });
      return { tokens, logits, state: result.state };
    }
    if (!decides(logits[guesses.length]!)) return this.#untilBroken({ tokens, logits, state: result.state }, ids);
    tokens.push({ id: draw(distribution(logits[guesses.length]!, this.#row.sampling, window), random()) });
    return { tokens, logits, state: result.state };
  }

  /** What was accepted before a place that no token follows from; the next round fails at its first. */
  async #untilBroken(verdict: Verdict, ids: readonly number[]): Promise<Verdict> {
    if (verdict.tokens.length > 0) return verdict;
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
  /** What it was drawn from; the sum is 1. */
  readonly q: Float64Array;
  /** The draft's, after the token before this one. */
  readonly state: ModelState;
}

interface Verdict {
  readonly tokens: readonly { readonly id: number }[];
  /** The model's at each of the tokens. */
  readonly logits: readonly (Float32Array | Float64Array)[];
  /** The model's, after all guesses. */
  readonly state: ModelState;
}

function rewound(
  model: Model,
  ids: readonly number[],
  before: ModelState | undefined,
  owned: Set<ModelState>,
): ModelState {
  const { state } = model.forward([ids], { state: before, logits: 'none', chunk: ids.length });
  owned.add(state);
  return state;
}

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
