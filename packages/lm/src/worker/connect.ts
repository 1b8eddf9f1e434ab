import { type WarningListener, warnOnConsole } from '@mamba/checkpoint';
import { invalid, MambaError, type MemoryUse } from '@mamba/core';
import type { DeltaMap, DeltaOptions } from '../blocks/mamba/selection.ts';
import { outOfTime } from '../bounds/bounds.ts';
import { checkSignal } from '../check-signal.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { BatchPiece, GenerateOptions, Prompt } from '../generate/request.ts';
import type { LoadOptions } from '../load/load-model.ts';
import type { HiddenStateOptions, HiddenStates } from '../score/hidden-states.ts';
import type { LogProbOptions } from '../score/log-probs.ts';
import type { Perplexity, PerplexityOptions } from '../score/perplexity.ts';
import type { Score } from '../score/score.ts';
import type { AppendOptions, Mark, SessionGenerateOptions, SessionOptions } from '../session/session.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { EncodeChatOptions } from '../tokenizer/tokenizer.ts';
import {
  type Arguments,
  type Calls,
  fromPlain,
  fromPlainError,
  type Handle,
  type ModelInfo,
  type PlainBounds,
  PROTOCOL_VERSION,
  type RemoteTokenizer,
  type Request,
  type Response,
  type Result,
  type Sendable,
  type SessionInfo,
  type Streams,
  type WorkerPort,
} from './protocol.ts';

/** Delay of the worker's messages that is tolerated beyond a time limit. */
const GRACE_MS = 500;

/** The longest delay that timers support. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The options of a local call, without those that name objects of the worker. */
type Remote<O> = Sendable<O> & { readonly signal?: AbortSignal | undefined };

/** The options that are not sent: the signal and the callbacks. */
interface Listeners {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((...args: number[]) => void) | undefined;
  readonly onDownload?: LoadOptions['onDownload'];
  readonly onWarning?: LoadOptions['onWarning'];
}

/**
 * Connects a page with a worker that runs `serveLanguageModels`: models live in the worker, so that the page never
 * blocks.
 */
export function connectLanguageModels(port: WorkerPort): WorkerConnection {
  return new WorkerConnection(port);
}

/** A connection to a worker that serves language models; made by `connectLanguageModels`. */
export class WorkerConnection {
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, PendingRequest>();
  /** Timers for code of checkpoints, which the worker cannot interrupt itself. */
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();
  readonly #listeners: readonly (readonly [string, (event: Event) => void])[];
  #nextId = 1;
  #closed: MambaError | undefined;

  /** @internal Use `connectLanguageModels`. */
  constructor(port: WorkerPort) {
    this.#port = port;
    const broken = (what: string) => (event: Event) => this.#fail(what, (event as ErrorEvent).message);
    this.#listeners = [
      ['message', (event) => this.#receive((event as MessageEvent).data as Response)],
      ['messageerror', broken('a message of the worker cannot be read')],
      ['error', broken('the worker failed')],
    ];
    for (const [type, listener] of this.#listeners) port.addEventListener(type, listener);
    port.start?.();
  }

  /** Set once the connection has ended: the worker failed, was terminated, or `close` was called. */
  get failure(): MambaError | undefined {
    return this.#closed;
  }

  /**
   * As `loadModel`, except that `location` cannot be a store. The first call makes the worker's backend.
   * @throws MambaError as `loadModel`, and `device-lost` if the worker fails.
   */
  async load(
    location: string | URL | readonly File[],
    options: Remote<LoadOptions> & RemoteTokenizer & Pick<LoadOptions, 'onProgress' | 'onDownload' | 'onWarning'> = {},
  ): Promise<WorkerLanguageModel> {
    if (typeof location !== 'string' && !(location instanceof URL) && !Array.isArray(location))
      throw invalid('load.location', String(location), 'a folder, an address or a list of File');
    const { rest, listeners } = splitListeners(options);
    const sent = location instanceof URL ? String(location) : location;
    return new WorkerLanguageModel(this, await this.call('load', [sent as string, rest], listeners));
  }

  /** Memory of the worker's backend; undefined before the first model. */
  memory(): Promise<MemoryUse | undefined> {
    return this.call('memory', []);
  }

  /** Rejects pending calls with `aborted` and stops listening. Does not terminate the worker. */
  close(): void {
    for (const [type, listener] of this.#listeners) this.#port.removeEventListener(type, listener);
    this.#end(new MambaError('aborted', 'the connection to the worker was closed', { origin: 'worker' }));
  }

  /** @internal */
  async call<K extends keyof Calls>(
    method: K,
    args: Arguments<Calls[K]>,
    listeners: Listeners = {},
  ): Promise<Result<Calls[K]>> {
    const id = this.#nextId++;
    const { value } = await this.#request({ id, type: 'call', method, args }, listeners);
    return value as Result<Calls[K]>;
  }

  /** @internal */
  async *stream<K extends keyof Streams>(
    method: K,
    args: Arguments<Streams[K]>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Result<Streams[K]>, void, void> {
    const id = this.#nextId++;
    await this.#request({ id, type: 'open', method, args }, { signal });
    // The worker drops a stream that has ended or failed.
    let open = true;
    const next = async (): Promise<{ readonly done: boolean; readonly value: unknown }> => {
      try {
        const item = await this.#request({ id, type: 'next' }, { signal });
        open = !item.done;
        return item;
      } catch (error) {
        open = false;
        throw error;
      }
    };
    try {
      for (;;) {
        checkSignal(method, signal);
        const { done, value } = await next();
        if (done) return;
        yield value as Result<Streams[K]>;
      }
    } finally {
      if (open && this.#closed === undefined) await this.#request({ id, type: 'return' }, {});
    }
  }

  #request(
    request: WithoutVersion<Request>,
    { signal, onProgress, onDownload, onWarning = warnOnConsole }: Listeners,
  ): Promise<{ readonly done: boolean; readonly value: unknown }> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) throw this.#closed;
      const { id } = request;
      const abort = (): void => this.#send({ id, type: 'abort' });
      const settle = (): void => {
        this.#pending.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      this.#pending.set(id, { resolve, reject, settle, onProgress, onDownload, onWarning });
      try {
        this.#send(request);
      } catch (cause) {
        settle();
        throw new MambaError('invalid-argument', 'the options cannot be sent to a worker', {
          origin: 'worker',
          expected: 'plain data',
          cause,
        });
      }
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) abort();
    });
  }

  #send(request: WithoutVersion<Request>): void {
    this.#port.postMessage({ version: PROTOCOL_VERSION, ...request }, []);
  }

  #receive(response: Response): void {
    if (response?.type === 'begin') {
      this.#watch(response.id, response.bounds);
      return;
    }
    if (response?.type === 'end') {
      this.#unwatch(response.id);
      return;
    }
    const pending = this.#pending.get(response?.id);
    if (pending === undefined) return;
    if (response.type === 'progress') {
      pending.onProgress?.(...response.args);
      return;
    }
    if (response.type === 'download') {
      pending.onDownload?.(response.progress);
      return;
    }
    if (response.type === 'warning') {
      pending.onWarning(fromPlain(response.warning.code ?? 'invalid-file', response.warning));
      return;
    }
    pending.settle();
    if (response.type === 'error') pending.reject(fromPlainError(response.error));
    else pending.resolve({ done: response.type === 'item' && response.done, value: response.value });
  }

  /** Terminates the worker if code of a checkpoint exceeds its time limit: it cannot be interrupted otherwise. */
  #watch(id: number, bounds: PlainBounds): void {
    if (this.#closed !== undefined || bounds.milliseconds > MAX_TIMER_MS) return;
    const end = (): void => {
      this.#end(
        outOfTime({ ...bounds, remedy: `${bounds.remedy} The worker was ended: start another, and load again.` }),
      );
      this.#port.terminate?.();
    };
    // If the page itself was blocked, messages that arrived meanwhile are handled first.
    const wait = (): void => void this.#timers.set(id, setTimeout(end, GRACE_MS));
    this.#timers.set(id, setTimeout(wait, bounds.milliseconds));
  }

  #unwatch(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  #fail(what: string, reason: string | undefined): void {
    this.#end(
      new MambaError('device-lost', reason ? `${what}: ${reason}` : what, {
        origin: 'worker',
        remedy: 'Start another worker, and load again.',
      }),
    );
  }

  #end(error: MambaError): void {
    this.#closed ??= error;
    for (const id of [...this.#timers.keys()]) this.#unwatch(id);
    for (const pending of [...this.#pending.values()]) {
      pending.settle();
      pending.reject(error);
    }
  }
}

/** A `LanguageModel` that lives in a worker, with the same calls, all of them asynchronous. */
export class WorkerLanguageModel {
  readonly info: ModelInfo;
  readonly #connection: WorkerConnection;

  /** @internal Use `connection.load`. */
  constructor(connection: WorkerConnection, info: ModelInfo) {
    this.#connection = connection;
    this.info = info;
  }

  /** As `LanguageModel.generate`, in the worker; each piece is sent as it comes. */
  generate(options: Remote<GenerateOptions>): AsyncGenerator<GeneratedPiece, void, void> {
    const { rest, listeners } = splitListeners(options);
    return this.#connection.stream('generate', [this.info.handle, rest], listeners.signal);
  }

  /** As `LanguageModel.generateBatch`, with one signal for all requests. */
  generateBatch(
    requests: readonly Sendable<GenerateOptions>[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<BatchPiece, void, void> {
    return this.#connection.stream('generateBatch', [this.info.handle, requests], signal);
  }

  /** As `Tokenizer.encode`, in the worker. */
  encode(text: string): Promise<number[]> {
    return this.#connection.call('encode', [this.info.handle, text]);
  }

  /** As `Tokenizer.decode`, in the worker. */
  decode(ids: readonly number[]): Promise<string> {
    return this.#connection.call('decode', [this.info.handle, ids]);
  }

  /** As `Tokenizer.encodeChat`, in the worker. */
  encodeChat(messages: readonly ChatMessage[], options: EncodeChatOptions = {}): Promise<number[]> {
    return this.#connection.call('encodeChat', [this.info.handle, messages, options]);
  }

  /** As `LanguageModel.score`, in the worker. */
  score(prompt: Prompt, options: Remote<LogProbOptions> = {}): Promise<Score> {
    const { rest, listeners } = splitListeners(options);
    return this.#connection.call('score', [this.info.handle, prompt, rest], listeners);
  }

  /** As `LanguageModel.perplexity`, in the worker. */
  perplexity(
    text: string,
    options: Remote<PerplexityOptions> & Pick<PerplexityOptions, 'onProgress'> = {},
  ): Promise<Perplexity> {
    const { rest, listeners } = splitListeners(options);
    return this.#connection.call('perplexity', [this.info.handle, text, rest], listeners);
  }

  /** As `LanguageModel.hiddenStates`, in the worker. */
  hiddenStates(prompt: Prompt, options: Remote<HiddenStateOptions> = {}): Promise<HiddenStates> {
    const { rest, listeners } = splitListeners(options);
    return this.#connection.call('hiddenStates', [this.info.handle, prompt, rest], listeners);
  }

  /** As `LanguageModel.createSession`, with the session in the worker. */
  async createSession(options: SessionOptions = {}): Promise<WorkerSession> {
    const info = await this.#connection.call('createSession', [this.info.handle, options]);
    return new WorkerSession(this.#connection, info);
  }

  /** As `LanguageModel.loadSession`, with the session in the worker. */
  async loadSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<WorkerSession> {
    const info = await this.#connection.call('loadSession', [this.info.handle, bytes, options]);
    return new WorkerSession(this.#connection, info);
  }

  /** As `LanguageModel.openSelection`, with the selection in the worker. */
  async openSelection({ signal }: Pick<Listeners, 'signal'> = {}): Promise<WorkerSelection> {
    return new WorkerSelection(
      this.#connection,
      await this.#connection.call('openSelection', [this.info.handle], { signal }),
    );
  }

  /** Also disposes the sessions and selections of the model. */
  dispose(): Promise<void> {
    return this.#connection.call('disposeModel', [this.info.handle]);
  }
}

/** A `Selection` that lives in a worker. */
export class WorkerSelection {
  readonly #connection: WorkerConnection;
  readonly #handle: Handle;

  /** @internal Use `openSelection` of a model. */
  constructor(connection: WorkerConnection, handle: Handle) {
    this.#connection = connection;
    this.#handle = handle;
  }

  /** As `Selection.deltas`, in the worker. */
  deltas(ids: ArrayLike<number>, options: Remote<DeltaOptions> = {}): Promise<DeltaMap> {
    const { rest, listeners } = splitListeners(options);
    return this.#connection.call('deltas', [this.#handle, ids, rest], listeners);
  }

  /** Frees the selection in the worker. */
  dispose(): Promise<void> {
    return this.#connection.call('disposeSelection', [this.#handle]);
  }
}

/** A `Session` that lives in a worker. */
export class WorkerSession {
  readonly #connection: WorkerConnection;
  #info: SessionInfo;

  /** @internal Use `createSession` of a model. */
  constructor(connection: WorkerConnection, info: SessionInfo) {
    this.#connection = connection;
    this.#info = info;
  }

  /** Tokens as of the latest answer of the worker. */
  get length(): number {
    return this.#info.length;
  }

  /** Bytes of the state and the marks, as of the last call. */
  get bytes(): number {
    return this.#info.bytes;
  }

  /** The marks, as of the last call. */
  get marks(): readonly Mark[] {
    return this.#info.marks;
  }

  /** As `Session.recent`. */
  recent(): Promise<readonly number[]> {
    return this.#connection.call('recent', [this.#info.handle]);
  }

  /** As `Session.append`, in the worker. */
  async append(input: Prompt, options: AppendOptions = {}): Promise<void> {
    const { rest, listeners } = splitListeners(options);
    this.#info = await this.#connection.call('append', [this.#info.handle, input, rest], listeners);
  }

  /** As `Session.generate`, in the worker; each piece is sent as it comes. */
  async *generate(options: Remote<SessionGenerateOptions> = {}): AsyncGenerator<GeneratedPiece, void, void> {
    const { rest, listeners } = splitListeners(options);
    const { handle } = this.#info;
    let closing: GeneratedPiece | undefined;
    try {
      for await (const piece of this.#connection.stream('continue', [handle, rest], listeners.signal)) {
        // The closing piece is given after the stream has ended, when the session's info is up to date.
        if (piece.finishReason === undefined) yield piece;
        else closing = piece;
      }
    } finally {
      this.#info = await this.#connection.call('describeSession', [handle]);
    }
    yield closing!;
  }

  /** As `Session.mark`, in the worker. */
  async mark(): Promise<Mark> {
    const { mark, info } = await this.#connection.call('mark', [this.#info.handle]);
    this.#info = info;
    return mark;
  }

  /** As `Session.rewind`, in the worker. */
  async rewind(mark: Pick<Mark, 'id'>): Promise<void> {
    this.#info = await this.#connection.call('rewind', [this.#info.handle, mark]);
  }

  /** As `Session.release`, in the worker. */
  async release(mark: Pick<Mark, 'id'>): Promise<void> {
    this.#info = await this.#connection.call('release', [this.#info.handle, mark]);
  }

  /** As `Session.fork`, in the worker. */
  async fork(): Promise<WorkerSession> {
    return new WorkerSession(this.#connection, await this.#connection.call('fork', [this.#info.handle]));
  }

  /** As `Session.save`, in the worker. */
  save(): Promise<Uint8Array> {
    return this.#connection.call('save', [this.#info.handle]);
  }

  /** Frees the session in the worker. */
  dispose(): Promise<void> {
    return this.#connection.call('disposeSession', [this.#info.handle]);
  }
}

interface PendingRequest {
  readonly resolve: (item: { readonly done: boolean; readonly value: unknown }) => void;
  readonly reject: (error: Error) => void;
  readonly settle: () => void;
  readonly onProgress: Listeners['onProgress'];
  readonly onDownload: Listeners['onDownload'];
  readonly onWarning: WarningListener;
}

type WithoutVersion<T> = T extends unknown ? Omit<T, 'version'> : never;

function splitListeners<O extends object>(options: O): { rest: Omit<O, keyof Listeners>; listeners: Listeners } {
  const { signal, onProgress, onDownload, onWarning, ...rest } = options as O & Listeners;
  return { rest: rest as Omit<O, keyof Listeners>, listeners: { signal, onProgress, onDownload, onWarning } };
}
