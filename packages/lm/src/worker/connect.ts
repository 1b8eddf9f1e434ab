import { type WarningListener, warnOnConsole } from '@mamba/checkpoint';
import { invalid, MambaError, type MemoryUse } from '@mamba/core';
import type { DeltaMap, DeltaOptions } from '../blocks/mamba/selection.ts';
import { outOfTime } from '../bounds/bounds.ts';
import { checkSignal } from '../event-loop.ts';
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

/** That a message of the worker may be late by. */
const GRACE_MS = 500;

/** Timers take no more than this. */
const LONGEST_MS = 2 ** 31 - 1;

/** Options as they are locally, but for what lives in the worker. */
type Remote<O> = Sendable<O> & { readonly signal?: AbortSignal | undefined };

/** What is left of the local options when signal and callback went their own way. */
interface Listening {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((...args: number[]) => void) | undefined;
  readonly onDownload?: LoadOptions['onDownload'];
  readonly onWarning?: LoadOptions['onWarning'];
}

/** The page's side: models that live in a worker which runs `serveLanguageModels`, so that the page never blocks. */
export function connectLanguageModels(port: WorkerPort): WorkerConnection {
  return new WorkerConnection(port);
}

export class WorkerConnection {
  readonly #port: WorkerPort;
  readonly #waiting = new Map<number, Waiting>();
  /** Timers of work that the worker cannot end itself. */
  readonly #bounded = new Map<number, ReturnType<typeof setTimeout>>();
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

  /** Why nothing comes of it any more: the worker failed, or was ended, or `close` was called. */
  get failure(): MambaError | undefined {
    return this.#closed;
  }

  /** As `loadModel`; the worker makes its backend with the first one. A store of one's own cannot be sent. */
  async load(
    location: string | URL | readonly File[],
    options: Remote<LoadOptions> & RemoteTokenizer & Pick<LoadOptions, 'onProgress' | 'onDownload' | 'onWarning'> = {},
  ): Promise<WorkerLanguageModel> {
    if (typeof location !== 'string' && !(location instanceof URL) && !Array.isArray(location))
      throw invalid('load.location', String(location), 'a folder, an address or a list of File');
    const { rest, listening } = split(options);
    const sent = location instanceof URL ? String(location) : location;
    return new WorkerLanguageModel(this, await this.call('load', [sent as string, rest], listening));
  }

  /** Undefined before the first model. */
  memory(): Promise<MemoryUse | undefined> {
    return this.call('memory', []);
  }

  /** Ends what waits with `aborted`, and listens no more; ending the worker is its maker's. */
  close(): void {
    for (const [type, listener] of this.#listeners) this.#port.removeEventListener(type, listener);
    this.#end(new MambaError('aborted', 'the connection to the worker was closed', { origin: 'worker' }));
  }

  /** @internal */
  async call<K extends keyof Calls>(
    method: K,
    args: Arguments<Calls[K]>,
    listening: Listening = {},
  ): Promise<Result<Calls[K]>> {
    const id = this.#nextId++;
    const { value } = await this.#request({ id, type: 'call', method, args }, listening);
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
    // The other side forgets a stream that ended or failed there.
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
    { signal, onProgress, onDownload, onWarning = warnOnConsole }: Listening,
  ): Promise<{ readonly done: boolean; readonly value: unknown }> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) throw this.#closed;
      const { id } = request;
      const abort = (): void => this.#send({ id, type: 'abort' });
      const settle = (): void => {
        this.#waiting.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      this.#waiting.set(id, { resolve, reject, settle, onProgress, onDownload, onWarning });
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
    const waiting = this.#waiting.get(response?.id);
    if (waiting === undefined) return;
    if (response.type === 'progress') {
      waiting.onProgress?.(...response.args);
      return;
    }
    if (response.type === 'download') {
      waiting.onDownload?.(response.progress);
      return;
    }
    if (response.type === 'warning') {
      waiting.onWarning(fromPlain(response.warning.code ?? 'invalid-file', response.warning));
      return;
    }
    waiting.settle();
    if (response.type === 'error') waiting.reject(fromPlainError(response.error));
    else waiting.resolve({ done: response.type === 'item' && response.done, value: response.value });
  }

  /** Nothing but its end helps a worker that a pattern or a template of a checkpoint holds up. */
  #watch(id: number, bounds: PlainBounds): void {
    if (this.#closed !== undefined || bounds.milliseconds > LONGEST_MS) return;
    const end = (): void => {
      this.#end(
        outOfTime({ ...bounds, remedy: `${bounds.remedy} The worker was ended: start another, and load again.` }),
      );
      this.#port.terminate?.();
    };
    // A page that was held up itself hears first what came meanwhile.
    const wait = (): void => void this.#bounded.set(id, setTimeout(end, GRACE_MS));
    this.#bounded.set(id, setTimeout(wait, bounds.milliseconds));
  }

  #unwatch(id: number): void {
    clearTimeout(this.#bounded.get(id));
    this.#bounded.delete(id);
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
    for (const id of [...this.#bounded.keys()]) this.#unwatch(id);
    for (const waiting of [...this.#waiting.values()]) {
      waiting.settle();
      waiting.reject(error);
    }
  }
}

/** A `LanguageModel` that lives in a worker: the same calls, all of them asynchronous. */
export class WorkerLanguageModel {
  readonly info: ModelInfo;
  readonly #connection: WorkerConnection;

  /** @internal Use `connection.load`. */
  constructor(connection: WorkerConnection, info: ModelInfo) {
    this.#connection = connection;
    this.info = info;
  }

  generate(options: Remote<GenerateOptions>): AsyncGenerator<GeneratedPiece, void, void> {
    const { rest, listening } = split(options);
    return this.#connection.stream('generate', [this.info.handle, rest], listening.signal);
  }

  /** One signal for all. */
  generateBatch(
    requests: readonly Sendable<GenerateOptions>[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<BatchPiece, void, void> {
    return this.#connection.stream('generateBatch', [this.info.handle, requests], signal);
  }

  encode(text: string): Promise<number[]> {
    return this.#connection.call('encode', [this.info.handle, text]);
  }

  decode(ids: readonly number[]): Promise<string> {
    return this.#connection.call('decode', [this.info.handle, ids]);
  }

  encodeChat(messages: readonly ChatMessage[], options: EncodeChatOptions = {}): Promise<number[]> {
    return this.#connection.call('encodeChat', [this.info.handle, messages, options]);
  }

  score(prompt: Prompt, options: Remote<LogProbOptions> = {}): Promise<Score> {
    const { rest, listening } = split(options);
    return this.#connection.call('score', [this.info.handle, prompt, rest], listening);
  }

  perplexity(
    text: string,
    options: Remote<PerplexityOptions> & Pick<PerplexityOptions, 'onProgress'> = {},
  ): Promise<Perplexity> {
    const { rest, listening } = split(options);
    return this.#connection.call('perplexity', [this.info.handle, text, rest], listening);
  }

  hiddenStates(prompt: Prompt, options: Remote<HiddenStateOptions> = {}): Promise<HiddenStates> {
    const { rest, listening } = split(options);
    return this.#connection.call('hiddenStates', [this.info.handle, prompt, rest], listening);
  }

  async createSession(options: SessionOptions = {}): Promise<WorkerSession> {
    const info = await this.#connection.call('createSession', [this.info.handle, options]);
    return new WorkerSession(this.#connection, info);
  }

  async loadSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<WorkerSession> {
    const info = await this.#connection.call('loadSession', [this.info.handle, bytes, options]);
    return new WorkerSession(this.#connection, info);
  }

  async openSelection({ signal }: Pick<Listening, 'signal'> = {}): Promise<WorkerSelection> {
    return new WorkerSelection(
      this.#connection,
      await this.#connection.call('openSelection', [this.info.handle], { signal }),
    );
  }

  /** Its sessions and selections go with it. */
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

  deltas(ids: ArrayLike<number>, options: Remote<DeltaOptions> = {}): Promise<DeltaMap> {
    const { rest, listening } = split(options);
    return this.#connection.call('deltas', [this.#handle, ids, rest], listening);
  }

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

  /** Tokens, as of the latest answer. */
  get length(): number {
    return this.#info.length;
  }

  get bytes(): number {
    return this.#info.bytes;
  }

  get marks(): readonly Mark[] {
    return this.#info.marks;
  }

  /** As `recent` of a local one. */
  recent(): Promise<readonly number[]> {
    return this.#connection.call('recent', [this.#info.handle]);
  }

  async append(input: Prompt, options: AppendOptions = {}): Promise<void> {
    const { rest, listening } = split(options);
    this.#info = await this.#connection.call('append', [this.#info.handle, input, rest], listening);
  }

  async *generate(options: Remote<SessionGenerateOptions> = {}): AsyncGenerator<GeneratedPiece, void, void> {
    const { rest, listening } = split(options);
    const { handle } = this.#info;
    let closing: GeneratedPiece | undefined;
    try {
      for await (const piece of this.#connection.stream('continue', [handle, rest], listening.signal)) {
        // The session has settled when the stream has ended.
        if (piece.finishReason === undefined) yield piece;
        else closing = piece;
      }
    } finally {
      this.#info = await this.#connection.call('describeSession', [handle]);
    }
    yield closing!;
  }

  async mark(): Promise<Mark> {
    const { mark, info } = await this.#connection.call('mark', [this.#info.handle]);
    this.#info = info;
    return mark;
  }

  async rewind(mark: Pick<Mark, 'id'>): Promise<void> {
    this.#info = await this.#connection.call('rewind', [this.#info.handle, mark]);
  }

  async release(mark: Pick<Mark, 'id'>): Promise<void> {
    this.#info = await this.#connection.call('release', [this.#info.handle, mark]);
  }

  async fork(): Promise<WorkerSession> {
    return new WorkerSession(this.#connection, await this.#connection.call('fork', [this.#info.handle]));
  }

  save(): Promise<Uint8Array> {
    return this.#connection.call('save', [this.#info.handle]);
  }

  dispose(): Promise<void> {
    return this.#connection.call('disposeSession', [this.#info.handle]);
  }
}

interface Waiting {
  readonly resolve: (item: { readonly done: boolean; readonly value: unknown }) => void;
  readonly reject: (error: Error) => void;
  readonly settle: () => void;
  readonly onProgress: Listening['onProgress'];
  readonly onDownload: Listening['onDownload'];
  readonly onWarning: WarningListener;
}

type WithoutVersion<T> = T extends unknown ? Omit<T, 'version'> : never;

function split<O extends object>(options: O): { rest: Omit<O, keyof Listening>; listening: Listening } {
  const { signal, onProgress, onDownload, onWarning, ...rest } = options as O & Listening;
  return { rest: rest as Omit<O, keyof Listening>, listening: { signal, onProgress, onDownload, onWarning } };
}
