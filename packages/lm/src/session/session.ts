import { invalid, MambaError } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import { checkIds } from '../check.ts';
import type { GeneratedToken } from '../generate/decoder/sequence.ts';
import { checkPrompt, collecting, continueFrom, type FinishReason } from '../generate/generate.ts';
import { type Generation, resolveGeneration } from '../generate/options.ts';
import { type GeneratedPiece, makePieces, PieceMaker } from '../generate/pieces.ts';
import { type PrefillOptions, prefill } from '../generate/prefill.ts';
import {
  type GenerateOptions,
  type Prompt,
  promptIds,
  requireTokenizer,
  splitOptions,
  type TextModel,
} from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { StopStrings } from '../tokenizer/stop-strings.ts';
import { copySessionState, EMPTY, RECENT, type SessionState, saveSessionState } from './state.ts';

/** How much the marks of a session may hold. */
export interface SessionOptions {
  /** Bytes that the states of all marks may take together; the oldest marks are dropped first. Default 64 MiB. */
  readonly markBytes?: number | undefined;
}

/** The options of `lm.generate` that a session takes; it supplies the prompt and the state itself. */
export type SessionGenerateOptions = Omit<GenerateOptions, 'prompt' | 'state' | 'prefixCache' | 'draft' | 'batcher'>;

/** How text is appended to a session. */
export type AppendOptions = Pick<PrefillOptions, 'chunk' | 'signal' | 'onProgress'>;

/** A position in a session that it can be rewound to. */
export interface Mark {
  /** What `rewind` and `release` know it by. */
  readonly id: number;
  /** Tokens before it. */
  readonly length: number;
}

/** The parts of a `LanguageModel` that a session needs. */
export interface SessionModel extends TextModel {
  readonly fingerprint: string;
}

/**
 * A sequence that can be continued at any time: the model's state, constant in size at any length, and the last ids.
 * Made by `lm.createSession()`, `lm.loadSession(bytes)` and `fork()`. It takes one call at a time: another one throws
 * `invalid-argument`. A call that fails leaves it as it was, except that tokens which `generate` gave before it failed
 * are part of the session.
 */
export class Session<L extends SessionModel = LanguageModel> {
  readonly lm: L;
  readonly markBytes: number;
  #current: SessionState;
  /** Oldest first. */
  readonly #marks = new Map<number, SessionState>();
  #nextMark = 1;
  /** The name of the call that is running. */
  #busy: string | undefined;
  #disposed = false;

  /** @internal Use `lm.createSession()`. The session takes ownership of `state`. */
  constructor(lm: L, options: SessionOptions = {}, state: SessionState = EMPTY) {
    checkOptions('createSession', options, ['markBytes']);
    const { markBytes = 2 ** 26 } = options;
    checkInteger('createSession.markBytes', markBytes, 0);
    this.lm = lm;
    this.markBytes = markBytes;
    this.#current = state;
  }

  /** Tokens so far, generated ones included. */
  get length(): number {
    return this.#current.length;
  }

  /** The last of these tokens, at most 1024. */
  get recent(): readonly number[] {
    return this.#current.recent;
  }

  /** Bytes of device memory that the state takes, without those of the marks. */
  get bytes(): number {
    return this.#current.state?.bytes ?? 0;
  }

  /** The marks that have not been released or dropped, oldest first. */
  get marks(): readonly Mark[] {
    return [...this.#marks].map(([id, { length }]) => ({ id, length }));
  }

  /**
   * Reads text or ids. Each text is encoded by itself, the first one with the special tokens that the tokenizer adds at
   * a beginning. A word that is split over two calls may therefore have other tokens than in the joined text.
   * @throws MambaError `invalid-argument`, `unsupported` for text without a tokenizer, `aborted`, `disposed`.
   */
  async append(input: Prompt, options: AppendOptions = {}): Promise<void> {
    checkOptions('append', options, ['chunk', 'signal', 'onProgress']);
    const ids = checkIds('append', this.#encode(input), this.lm.model.config.vocabSize);
    if (ids.length === 0) return;
    await this.#exclusively('append', async () => {
      const { state, pending, recent, length } = this.#current;
      const all = [...pending, ...ids];
      const before = all.slice(0, -1);
      const read = before.length > 0 ? await prefill(this.lm.model, before, { ...options, state }) : state;
      this.#replace({
        ...{ state: read, pending: all.slice(-1), length: length + ids.length },
        recent: [...recent, ...ids].slice(-RECENT),
      });
    });
  }

  /**
   * Continues as `lm.generate` does; the tokens given become part of the session. A stop id is not given and not part
   * of it. The tokens of a stop string are part of it, though their text is not given. Leaving the loop by `break`
   * keeps the tokens given by then. A character that the last tokens leave incomplete is given by the call that
   * completes it. An empty session begins with the checkpoint's bos or eos token.
   * @throws MambaError as `lm.generate`, and `disposed`.
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

  /** Marks the current position, with a copy of the state. */
  mark(): Mark {
    this.#checkFree('mark');
    const marked = copySessionState(this.lm.model, this.#current);
    const id = this.#nextMark++;
    this.#marks.set(id, marked);
    let bytes = [...this.#marks.values()].reduce((sum, { state }) => sum + (state?.bytes ?? 0), 0);
    for (const [old, { state }] of this.#marks) {
      if (bytes <= this.markBytes) break;
      bytes -= state?.bytes ?? 0;
      this.release({ id: old });
    }
    return { id, length: marked.length };
  }

  /** Returns to a mark, which is kept. @throws MambaError `disposed` if the mark was released or dropped. */
  rewind(mark: Pick<Mark, 'id'>): void {
    this.#checkFree('rewind');
    const marked = this.#marks.get(mark?.id);
    if (marked === undefined)
      throw new MambaError('disposed', `the session has no mark ${String(mark?.id)}`, {
        origin: 'session.rewind',
        expected: `one of ${[...this.#marks.keys()].join(', ') || 'none'}`,
        remedy: 'Marks beyond markBytes are dropped, oldest first: allow more bytes, or make fewer.',
      });
    this.#replace(copySessionState(this.lm.model, marked));
  }

  /** Frees a mark; does nothing if it is already gone. */
  release(mark: Pick<Mark, 'id'>): void {
    this.#marks.get(mark.id)?.state?.dispose();
    this.#marks.delete(mark.id);
  }

  /** A second session with a copy of the state and without the marks; both continue independently. */
  fork(): Session<L> {
    this.#checkFree('fork');
    return new Session(this.lm, { markBytes: this.markBytes }, copySessionState(this.lm.model, this.#current));
  }

  /**
   * Copies the session to the same model loaded elsewhere, for example on another backend.
   * @throws MambaError `foreign` for another model.
   */
  async copyTo(lm: LanguageModel): Promise<Session> {
    return lm.loadSession(await this.save(), { markBytes: this.markBytes });
  }

  /** Portable bytes for `lm.loadSession`, of the same size at any length; marks are not included. */
  async save(): Promise<Uint8Array> {
    return this.#exclusively('save', () => saveSessionState(this.lm.model, this.lm.fingerprint, this.#current));
  }

  /** Whether the session was disposed. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Frees the state and the marks. A call that is running frees its own state when it ends. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const mark of this.marks) this.release(mark);
    this.#current.state?.dispose();
  }

  async *#generatePieces(generation: Generation, stops: StopStrings): AsyncGenerator<GeneratedPiece, void, void> {
    this.#checkFree('generate');
    const { pending, recent } = this.#current;
    const first = pending.length > 0 ? [] : checkPrompt(promptIds(this.lm, []), this.lm.model);
    // Text held back for an incomplete character is recomputed from these ids, so it survives saving and forking.
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
      const { state, pending, recent, length } = this.#current;
      const start = { state, pending: [...pending, ...first] };
      const known = [...recent, ...first];
      const ids = known.slice();
      const tokens = continueFrom(this.lm.model, start, known, generation, (end) => {
        const next = { state: end.state, pending: end.pending, recent: ids.slice(-RECENT) };
        this.#replace({ ...next, length: length + first.length + (ids.length - known.length) });
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

  #replace(next: SessionState): void {
    const { state } = this.#current;
    this.#current = next;
    if (state !== next.state) state?.dispose();
    if (this.#disposed) next.state?.dispose();
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
