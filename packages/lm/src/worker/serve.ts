import type { WarningListener } from '@mamba/checkpoint';
import { type Backend, type BackendProvider, invalid, MambaError, selectBackend } from '@mamba/core';
import { watchBounds } from '#bounds';
import type { Selection } from '../blocks/mamba/selection.ts';
import type { DownloadProgress } from '../hub/hub.ts';
import type { LanguageModel } from '../language-model.ts';
import { loadModel } from '../load/load-model.ts';
import type { Session } from '../session/session.ts';
import {
  type Arguments,
  type Calls,
  type Handle,
  type ModelInfo,
  PROTOCOL_VERSION,
  type Request,
  type Response,
  type Result,
  type SessionInfo,
  type Streams,
  toPlainError,
  type WorkerPort,
} from './protocol.ts';

/**
 * Serves language models to the other side of a port, in a worker: `serveLanguageModels(self, [webgpu(), cpu()])`. The
 * first backend that runs is made when the first model is loaded.
 * @returns a function that stops serving and frees everything.
 */
export function serveLanguageModels(port: WorkerPort, backends: readonly BackendProvider[]): () => Promise<void> {
  const host = new WorkerHost(port, backends);
  const listener = (event: Event): void => void host.receive((event as MessageEvent).data as Request);
  port.addEventListener('message', listener);
  port.start?.();
  return async () => {
    port.removeEventListener('message', listener);
    await host.dispose();
  };
}

interface Context {
  readonly signal: AbortSignal;
  readonly onProgress: (...args: number[]) => void;
  readonly onDownload: (progress: DownloadProgress) => void;
  readonly onWarning: WarningListener;
}

type CallTable = {
  readonly [K in keyof Calls]: (
    context: Context,
    ...args: Arguments<Calls[K]>
  ) => Result<Calls[K]> | Promise<Result<Calls[K]>>;
};

type StreamTable = {
  readonly [K in keyof Streams]: (
    context: Context,
    ...args: Arguments<Streams[K]>
  ) => AsyncGenerator<Result<Streams[K]>, void, void>;
};

class WorkerHost {
  readonly #port: WorkerPort;
  readonly #providers: readonly BackendProvider[];
  readonly #models = new Map<Handle, LanguageModel>();
  readonly #sessions = new Map<Handle, Session>();
  readonly #selections = new Map<Handle, { readonly lm: LanguageModel; readonly selection: Selection }>();
  readonly #running = new Map<number, AbortController>();
  readonly #streams = new Map<number, AsyncGenerator<unknown, void, void>>();
  readonly #unwatch: () => void;
  #backend: Promise<Backend> | undefined;
  #nextHandle = 1;
  #nextBounded = 1;

  constructor(port: WorkerPort, providers: readonly BackendProvider[]) {
    this.#port = port;
    this.#providers = providers;
    // Sent before the code begins, so that the page knows while this thread is blocked.
    this.#unwatch = watchBounds(({ origin, milliseconds, remedy }) => {
      const id = this.#nextBounded++;
      this.#send({ id, type: 'begin', bounds: { origin, milliseconds, remedy } });
      return () => this.#send({ id, type: 'end' });
    });
  }

  async receive(request: Request): Promise<void> {
    if (typeof request?.id !== 'number') return;
    const { id } = request;
    try {
      if (request.version !== PROTOCOL_VERSION)
        throw new MambaError('unsupported', 'page and worker are of different versions', {
          origin: 'worker',
          given: `protocol ${request.version}`,
          expected: `protocol ${PROTOCOL_VERSION}`,
          remedy: 'Build both with the same release of @mamba/lm.',
        });
      await this.#answer(request);
    } catch (error) {
      this.#running.delete(id);
      this.#streams.delete(id);
      this.#send({ id, type: 'error', error: toPlainError(error) });
    }
  }

  async dispose(): Promise<void> {
    this.#unwatch();
    for (const aborter of this.#running.values()) aborter.abort();
    for (const stream of this.#streams.values()) await stream.return();
    for (const session of this.#sessions.values()) session.dispose();
    await this.#backend?.then(
      (backend) => backend.dispose(),
      () => {},
    );
  }

  async #answer(request: Request): Promise<void> {
    const { id } = request;
    switch (request.type) {
      case 'call': {
        const method = this.#calls[request.method] as (context: Context, ...args: unknown[]) => unknown;
        if (method === undefined) throw invalid('worker', String(request.method), 'a method');
        const value = await method(this.#context(id), ...request.args);
        this.#running.delete(id);
        this.#send({ id, type: 'result', value }, value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []);
        return;
      }
      case 'open': {
        const method = this.#streamTable[request.method] as (
          context: Context,
          ...args: unknown[]
        ) => AsyncGenerator<unknown, void, void>;
        if (method === undefined) throw invalid('worker', String(request.method), 'a method');
        this.#streams.set(id, method(this.#context(id), ...request.args));
        this.#send({ id, type: 'result', value: undefined });
        return;
      }
      case 'abort':
        this.#running.get(id)?.abort();
        return;
      case 'next':
      case 'return': {
        const stream = this.#streams.get(id);
        const { done, value } = stream === undefined ? ENDED : await stream[request.type]();
        if (done) {
          this.#running.delete(id);
          this.#streams.delete(id);
        }
        this.#send({ id, type: 'item', done: done === true, value });
      }
    }
  }

  readonly #calls: CallTable = {
    load: async ({ signal, onProgress, onDownload, onWarning }, location, options) => {
      this.#backend ??= selectBackend(this.#providers);
      // The next call tries again if no backend could be made.
      this.#backend.catch(() => {
        this.#backend = undefined;
      });
      const lm = await loadModel(await this.#backend, location, {
        ...options,
        ...{ signal, onProgress, onDownload, onWarning },
      });
      const handle = this.#nextHandle++;
      this.#models.set(handle, lm);
      return describeModel(handle, lm);
    },
    memory: async () => (await this.#backend)?.memory(),
    encode: (_, model, text) => this.#model(model).encode(text),
    decode: (_, model, ids) => this.#model(model).decode(ids),
    encodeChat: (_, model, messages, options) => this.#model(model).encodeChat(messages, options),
    score: ({ signal }, model, prompt, options) => this.#model(model).score(prompt, { ...options, signal }),
    perplexity: ({ signal, onProgress }, model, text, options) =>
      this.#model(model).perplexity(text, { ...options, signal, onProgress }),
    hiddenStates: ({ signal }, model, prompt, options) =>
      this.#model(model).hiddenStates(prompt, { ...options, signal }),
    openSelection: async ({ signal }, model) => {
      const lm = this.#model(model);
      const selection = await lm.openSelection({ signal });
      const handle = this.#nextHandle++;
      this.#selections.set(handle, { lm, selection });
      return handle;
    },
    deltas: ({ signal }, handle, ids, options) => {
      const held = this.#selections.get(handle);
      if (held === undefined) throw new MambaError('disposed', 'the selection was disposed', { origin: 'worker' });
      return held.selection.deltas(ids, { ...options, signal });
    },
    disposeSelection: (_, handle) => {
      this.#selections.get(handle)?.selection.dispose();
      this.#selections.delete(handle);
      return undefined;
    },
    disposeModel: (_, model) => {
      const lm = this.#models.get(model);
      this.#models.delete(model);
      for (const [handle, held] of this.#selections) {
        if (held.lm !== lm) continue;
        held.selection.dispose();
        this.#selections.delete(handle);
      }
      for (const [handle, session] of this.#sessions) {
        if (session.lm !== lm) continue;
        session.dispose();
        this.#sessions.delete(handle);
      }
      lm?.dispose();
      return undefined;
    },
    createSession: (_, model, options) => this.#adopt(this.#model(model).createSession(options)),
    loadSession: (_, model, bytes, options) => this.#adopt(this.#model(model).loadSession(bytes, options)),
    describeSession: (_, handle) => this.#info(handle),
    recent: (_, handle) => this.#session(handle).recent,
    append: async ({ signal, onProgress }, handle, input, options) => {
      await this.#session(handle).append(input, { ...options, signal, onProgress });
      return this.#info(handle);
    },
    mark: (_, handle) => ({ mark: this.#session(handle).mark(), info: this.#info(handle) }),
    rewind: (_, handle, mark) => {
      this.#session(handle).rewind(mark);
      return this.#info(handle);
    },
    release: (_, handle, mark) => {
      this.#session(handle).release(mark);
      return this.#info(handle);
    },
    fork: (_, handle) => this.#adopt(this.#session(handle).fork()),
    save: (_, handle) => this.#session(handle).save(),
    disposeSession: (_, handle) => {
      this.#sessions.get(handle)?.dispose();
      this.#sessions.delete(handle);
      return undefined;
    },
  };

  readonly #streamTable: StreamTable = {
    generate: ({ signal }, model, options) => this.#model(model).generate({ ...options, signal }),
    generateBatch: ({ signal }, model, requests) =>
      this.#model(model).generateBatch(requests.map((request) => ({ ...request, signal }))),
    continue: ({ signal }, session, options) => this.#session(session).generate({ ...options, signal }),
  };

  #context(id: number): Context {
    const aborter = new AbortController();
    this.#running.set(id, aborter);
    return {
      signal: aborter.signal,
      onProgress: (...args) => this.#send({ id, type: 'progress', args }),
      onDownload: (progress) => this.#send({ id, type: 'download', progress }),
      onWarning: (warning) => this.#send({ id, type: 'warning', warning: toPlainError(warning) }),
    };
  }

  #model(handle: Handle): LanguageModel {
    const lm = this.#models.get(handle);
    if (lm === undefined) throw new MambaError('disposed', 'the model was disposed', { origin: 'worker' });
    return lm;
  }

  #session(handle: Handle): Session {
    const session = this.#sessions.get(handle);
    if (session === undefined) throw new MambaError('disposed', 'the session was disposed', { origin: 'worker' });
    return session;
  }

  #adopt(session: Session): SessionInfo {
    const handle = this.#nextHandle++;
    this.#sessions.set(handle, session);
    return this.#info(handle);
  }

  #info(handle: Handle): SessionInfo {
    const { length, bytes, marks } = this.#session(handle);
    return { handle, length, bytes, marks };
  }

  #send(response: WithoutVersion<Response>, transfer: Transferable[] = []): void {
    this.#port.postMessage({ version: PROTOCOL_VERSION, ...response }, transfer);
  }
}

type WithoutVersion<T> = T extends unknown ? Omit<T, 'version'> : never;

const ENDED = { done: true, value: undefined };

function describeModel(handle: Handle, lm: LanguageModel): ModelInfo {
  const { name, config, fingerprint, specialTokens, tokenizer, model } = lm;
  return {
    ...{ handle, name, config, fingerprint, specialTokens },
    backend: { name: model.backend.name, description: model.backend.description },
    hasTokenizer: tokenizer !== undefined,
    hasChatTemplate: tokenizer?.chatTemplate !== undefined,
  };
}
