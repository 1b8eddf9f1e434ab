import { decodeSnapshot, encodeSnapshot, invalid, MambaError, type Model, type ModelState } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import { checkIds } from '../check.ts';
import type { GeneratedToken } from '../generate/decoder.ts';
import { checkPrompt, collecting, continueFrom, type FinishReason } from '../generate/generate.ts';
import { type Generation, resolveGeneration } from '../generate/options.ts';
import { type GeneratedPiece, makePieces, PieceMaker } from '../generate/pieces.ts';
import { type PrefillOptions, prefill } from '../generate/prefill.ts';
import { type GenerateOptions, type Prompt, promptIds, requireTokenizer, splitOptions } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { StopStrings } from '../tokenizer/stop-strings.ts';

export interface SessionOptions {
  /** What the states of all marks may take together; the oldest marks go first. Default 64 MiB. */
  readonly markBytes?: number | undefined;
}

/** What a session can do of `generate`: it brings the prompt and the state itself. */
export type SessionGenerateOptions = Omit<GenerateOptions, 'prompt' | 'state' | 'prefixCache' | 'draft' | 'batcher'>;

export type AppendOptions = Pick<PrefillOptions, 'chunk' | 'signal' | 'onProgress'>;

/** A place in a session that it can be rewound to. */
export interface Mark {
  readonly id: number;
  /** Tokens before it. */
  readonly length: number;
}

/** Tokens that a session knows of its past, for the penalties: the largest window there. */
export const RECENT = 1024;

/**
 * A sequence that goes on: the model's state, constant in size at any length, and the last tokens. Made by
 * `lm.createSession()`, `lm.loadSession(bytes)` and `fork()`. One call at a time; one that fails changes nothing, but
 * what `generate` gave is in.
 */
export class Session {
  readonly lm: LanguageModel;
  readonly markBytes: number;
  #place: Place = { state: undefined, pending: [], recent: [], length: 0 };
  /** Oldest first. */
  readonly #marks = new Map<number, Place>();
  #nextMark = 1;
  #busy: string | undefined;
  #disposed = false;

  /** @internal Use `lm.createSession()`. The place becomes the session's own. */
  constructor(lm: LanguageModel, options: SessionOptions = {}, place?: Place) {
    checkOptions('createSession', options, ['markBytes']);
    const { markBytes = 2 ** 26 } = options;
    checkInteger('createSession.markBytes', markBytes, 0);
    this.lm = lm;
    this.markBytes = markBytes;
    if (place !== undefined) this.#place = place;
  }

  /** Tokens so far, generated ones included. */
  get length(): number {
    return this.#place.length;
  }

  /** The last of these tokens, at most 1024: what a session knows of its past beside the state. */
  get recent(): readonly number[] {
    return this.#place.recent;
  }

  /** Device memory of the state; the marks' is not in it. */
  get bytes(): number {
    return this.#place.state?.bytes ?? 0;
  }

  /** The marks that are still there, oldest first. */
  get marks(): readonly Mark[] {
    return [...this.#marks].map(([id, { length }]) => ({ id, length }));
  }

  /**
   * Reads text or ids. Each text is encoded by itself, the first with the special tokens that the tokenizer puts at a
   * beginning; the tokens are not what those of the joined text would be where a word goes on across the border.
   */
  async append(input: Prompt, options: AppendOptions = {}): Promise<void> {
    checkOptions('append', options, ['chunk', 'signal', 'onProgress']);
    const ids = checkIds('append', this.#encode(input), this.lm.config.vocabSize);
    if (ids.length === 0) return;
    await this.#exclusively('append', async () => {
      const { state, pending, recent, length } = this.#place;
      const all = [...pending, ...ids];
      const before = all.slice(0, -1);
      const read = before.length > 0 ? await prefill(this.lm.model, before, { ...options, state }) : state;
      this.#move({
        ...{ state: read, pending: all.slice(-1), length: length + ids.length },
        recent: [...recent, ...ids].slice(-RECENT),
      });
    });
  }

  /**
   * Continues: as `lm.generate`, with the tokens given becoming part of the session. A stop id is not given; the tokens
   * of a stop string are, though its text is not. Leaving the loop by `break` keeps what was given by then. A character
   * that the last tokens leave unfinished is given by the call that finishes it. An empty session begins with the
   * checkpoint's bos or eos token.
   */
  generate(options: SessionGenerateOptions = {}): AsyncGenerator<GeneratedPiece, void, void> {
    this.#checkAlive();
    for (const name of ['prompt', 'state', 'prefixCache', 'draft', 'batcher'])
      if (name in options)
        throw invalid(`session.generate.${name}`, 'an option of lm.generate', 'none: a session brings its own');
    const { stops, tokens } = splitOptions(this.lm, options);
    const generation = resolveGeneration(this.lm.model, tokens);
    const { penaltyWindow, penalizes } = generation.sampling;
    if (penalizes && penaltyWindow > RECENT)
      throw invalid('session.generate.penaltyWindow', String(penaltyWindow), `at most ${RECENT} in a session`);
    return this.#generatePieces(generation, stops);
  }

  /** Keeps the present place, at the cost of one state. */
  mark(): Mark {
    this.#checkFree('mark');
    const place = copyPlace(this.lm.model, this.#place);
    const id = this.#nextMark++;
    this.#marks.set(id, place);
    let bytes = [...this.#marks.values()].reduce((sum, { state }) => sum + (state?.bytes ?? 0), 0);
    for (const [old, { state }] of this.#marks) {
      if (bytes <= this.markBytes) break;
      bytes -= state?.bytes ?? 0;
      this.release({ id: old });
    }
    return { id, length: place.length };
  }

  /** Goes to a mark, which stays. @throws MambaError `disposed` where it was released, or had to go for the budget. */
  rewind(mark: Pick<Mark, 'id'>): void {
    this.#checkFree('rewind');
    const place = this.#marks.get(mark?.id);
    if (place === undefined)
      throw new MambaError('disposed', `the session has no mark ${String(mark?.id)}`, {
        origin: 'session.rewind',
        expected: `one of ${[...this.#marks.keys()].join(', ') || 'none'}`,
        remedy: 'Marks beyond markBytes are dropped, oldest first: allow more bytes, or make fewer.',
      });
    this.#move(copyPlace(this.lm.model, place));
  }

  /** Frees a mark; one that is gone already is no error. */
  release(mark: Pick<Mark, 'id'>): void {
    this.#marks.get(mark.id)?.state?.dispose();
    this.#marks.delete(mark.id);
  }

  /** Another session at the same place, without the marks. They go their own ways. */
  fork(): Session {
    this.#checkFree('fork');
    return new Session(this.lm, { markBytes: this.markBytes }, copyPlace(this.lm.model, this.#place));
  }

  /**
   * The same place on another backend, or in another copy of the model. @throws MambaError `foreign` for another model.
   */
  async copyTo(lm: LanguageModel): Promise<Session> {
    return lm.loadSession(await this.save(), { markBytes: this.markBytes });
  }

  /** Portable bytes for `lm.loadSession`, of the same size at any length; marks are not in them. */
  async save(): Promise<Uint8Array> {
    return this.#exclusively('save', async () => {
      const { state, pending, recent, length } = this.#place;
      const { model, fingerprint } = this.lm;
      const exported = state ?? model.zeroState();
      try {
        const snapshot = await model.exportState(exported);
        return encodeSnapshot({ ...snapshot, fingerprint, extra: { pending, recent, length } });
      } finally {
        if (exported !== state) exported.dispose();
      }
    });
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Frees the state and the marks. What runs meanwhile frees its own when it ends. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const mark of this.marks) this.release(mark);
    this.#place.state?.dispose();
  }

  async *#generatePieces(generation: Generation, stops: StopStrings): AsyncGenerator<GeneratedPiece, void, void> {
    this.#checkFree('generate');
    const { pending, recent } = this.#place;
    const first = pending.length > 0 ? [] : checkPrompt(promptIds(this.lm, []), this.lm.model);
    // What was not given of the text so far is in the last ids, so that a session that was saved or forked knows it as
    // well.
    const before = [...recent, ...first];
    const maker = new PieceMaker({ tokenizer: this.lm.tokenizer, stops, before, unfinished: true });
    yield* makePieces(this.#generateTokens(generation, first), maker);
  }

  async *#generateTokens(
    generation: Generation,
    first: readonly number[],
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    this.#busy = 'generate';
    try {
      const { state, pending, recent, length } = this.#place;
      const start = { state, pending: [...pending, ...first] };
      const known = [...recent, ...first];
      const ids = known.slice();
      const tokens = continueFrom(this.lm.model, start, known, generation, (end) => {
        const moved = { state: end.state, pending: end.pending, recent: ids.slice(-RECENT) };
        this.#move({ ...moved, length: length + first.length + (ids.length - known.length) });
      });
      return yield* collecting(tokens, ids);
    } finally {
      this.#busy = undefined;
    }
  }

  #encode(input: Prompt): ArrayLike<number> {
    if (typeof input !== 'string') return input;
    return requireTokenizer(this.lm).encode(input, { addSpecialTokens: this.length === 0 });
  }

  #move(place: Place): void {
    const { state } = this.#place;
    this.#place = place;
    if (state !== place.state) state?.dispose();
    if (this.#disposed) place.state?.dispose();
  }

  async #exclusively<T>(what: string, act: () => Promise<T>): Promise<T> {
    this.#checkFree(what);
    this.#busy = what;
    try {
      return await act();
    } finally {
      this.#busy = undefined;
    }
  }

  #checkFree(what: string): void {
    this.#checkAlive();
    if (this.#busy !== undefined)
      throw invalid(
        `session.${what}`,
        `a call during ${this.#busy}`,
        'one call at a time',
        'Fork the session for others.',
      );
  }

  #checkAlive(): void {
    if (this.#disposed) throw new MambaError('disposed', 'the session was disposed', { origin: 'session' });
  }
}

/** What is not the model's of a session's past. */
export interface Place {
  /** Zero if absent. */
  readonly state: ModelState | undefined;
  /** The last tokens, which the state has not been fed; none only where there are none at all. */
  readonly pending: readonly number[];
  readonly recent: readonly number[];
  readonly length: number;
}

/**
 * A place out of saved bytes.
 * @throws MambaError `invalid-file` where they are damaged or no session's, `foreign` where they are another model's.
 */
export function loadPlace(model: Model, fingerprint: string, bytes: Uint8Array): Place {
  const snapshot = decodeSnapshot(bytes);
  if (snapshot.fingerprint !== undefined && snapshot.fingerprint !== fingerprint)
    throw new MambaError('foreign', 'the session belongs to another model', {
      origin: 'loadSession',
      given: `a session of model ${String(snapshot.fingerprint)}`,
      expected: `one of model ${fingerprint}`,
      remedy: 'Load it with the model that it was saved from.',
    });
  const { pending, recent, length } = (snapshot.extra ?? {}) as Readonly<Record<string, unknown>>;
  const { vocabSize } = model.config;
  const position = snapshot.positions[0]!;
  const valid =
    snapshot.fingerprint !== undefined &&
    snapshot.batch === 1 &&
    isIds(pending, vocabSize) &&
    isIds(recent, vocabSize) &&
    recent.length <= RECENT &&
    length === position + pending.length &&
    (position === 0 || pending.length > 0);
  if (!valid)
    throw new MambaError('invalid-file', 'the bytes are no saved session', {
      origin: 'loadSession',
      expected: 'what session.save() gave',
    });
  return { state: model.importState(snapshot), pending, recent, length };
}

function copyPlace(model: Model, place: Place): Place {
  return { ...place, state: place.state && model.cloneState(place.state) };
}

function isIds(value: unknown, vocabSize: number): value is readonly number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize);
}
