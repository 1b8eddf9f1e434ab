/**
 * The subpath `@mamba/lm/server`: an OpenAI-compatible endpoint, in Node.
 * @module
 */

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { MambaError } from '@mamba/core';
import type { Hono } from 'hono';
import type { Batcher } from '../generate/batcher.ts';
import type { LanguageModel } from '../language-model.ts';
import { createApp, createBaseApp } from './app.ts';
import type { Env } from './deliver.ts';
import { Engine } from './engine.ts';
import { answerClientError, createListener } from './listener.ts';
import { NO_METRICS, openMetrics } from './metrics.ts';
import { defaultName, resolveSettings, type ServeOptions } from './options.ts';
import type { Phase } from './probes.ts';
import { shutDown } from './shutdown.ts';

export type { RateLimits } from './limits.ts';
export type { ServeOptions, SessionSettings } from './options.ts';
export { MemoryStore, type MemoryStoreOptions } from './store/memory.ts';
export { connectRedis, type RedisOptions } from './store/redis.ts';
export type { SetOptions, Store } from './store/store.ts';

/** A server that listens; `serve` makes it. */
export interface LanguageModelServer {
  /** Without a trailing slash; OpenAI's clients take it with `/v1`. */
  readonly url: string;
  readonly name: string;
  /** Number of sequences that run, and that wait. */
  readonly load: Batcher['load'];
  /** Resolves when the model is there. Rejects if it cannot be loaded, or not be served; close the server then. */
  readonly ready: Promise<void>;
  /**
   * Takes requests for `noticeMs` more, then refuses new ones, lets running ones finish within `graceMs`, saves
   * sessions that still run as far as they have come, and aborts the rest. Does not dispose the model, nor close the
   * store.
   */
  close(): Promise<void>;
}

/**
 * Serves a model by OpenAI's API: completions, chats if it has a template, and embeddings. Answers are whole or
 * streamed, and concurrent requests run in one batch.
 * @param model The model, or one that is being loaded: until then the server says that it is not ready.
 * @throws MambaError `invalid-argument`, `unsupported` for a model without a tokenizer, `unavailable` if the port is
 * taken, or a package for what was asked is not installed.
 */
export async function serve(
  model: LanguageModel | Promise<LanguageModel>,
  options: ServeOptions = {},
): Promise<LanguageModelServer> {
  const settings = resolveSettings(options);
  const { host, port, noticeMs, graceMs } = settings;
  const metrics = settings.showsMetrics ? await openMetrics() : NO_METRICS;
  let engine = model instanceof Promise ? undefined : new Engine(model, settings, metrics);
  let phase: Phase = engine === undefined ? 'loading' : 'ready';
  const load = (): Batcher['load'] => engine?.parts.batcher.load ?? { running: 0, waiting: 0 };
  const [interrupter, aborter] = [new AbortController(), new AbortController()];
  const probes = { phase: () => phase, load };
  const appOf = ({ lm, parts }: Engine): Hono<Env> =>
    createApp({
      ...{ ...settings, ...probes, ...parts, lm, metrics, name: settings.name ?? defaultName(lm.name) },
      ...{ interrupt: interrupter.signal, signal: aborter.signal },
    });
  let app = engine === undefined ? createBaseApp({ ...settings, ...probes, metrics }) : appOf(engine);
  metrics.read('ready', () => (phase === 'ready' ? 1 : 0));

  const running = new Set<ServerResponse>();
  const listener = createListener((request, bindings) => app.fetch(request, bindings), settings);
  // The listener answers requests without a Host, in the form of the API.
  const server = createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    running.add(outgoing);
    outgoing.once('close', () => running.delete(outgoing));
    // Clients would send further requests over connections that stay open.
    if (phase === 'leaving' || phase === 'draining') outgoing.setHeader('Connection', 'close');
    listener(incoming, outgoing);
  });
  server.on('clientError', (error, socket) => {
    const begun = [...running].some((response) => response.socket === socket && response.headersSent);
    answerClientError(error, socket as Socket, begun);
  });
  server.listen(port, host);
  await once(server, 'listening').catch((cause: unknown) => {
    throw new MambaError('unavailable', `${host}:${port} cannot be listened on: ${(cause as Error).message}`, {
      origin: 'serve',
      remedy: 'Give another port, or 0 for any that is free.',
      cause,
    });
  });

  const start = async (): Promise<void> => {
    try {
      const lm = await model;
      if (phase !== 'loading') return;
      engine = new Engine(lm, settings, metrics);
      app = appOf(engine);
      phase = 'ready';
    } catch (error) {
      if (phase === 'loading') phase = 'failed';
      throw error;
    }
  };
  const ready = start();
  // Whoever does not wait for it sees it at /ready.
  ready.catch(() => {});

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    // Without a model there is nothing to take requests for.
    if (phase === 'ready' && noticeMs > 0) {
      phase = 'leaving';
      await setTimeout(noticeMs);
    }
    phase = 'draining';
    await shutDown(server, running, {
      graceMs,
      interrupt: async () => {
        interrupter.abort();
        await engine?.parts.sessions.idle();
      },
      abort: () => aborter.abort(),
    });
    await engine?.dispose();
  };
  const address = server.address() as { readonly port: number };
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    get name() {
      return settings.name ?? defaultName(engine?.lm.name ?? '');
    },
    get load() {
      return load();
    },
    ready,
    close() {
      closing ??= close();
      return closing;
    },
  };
}
