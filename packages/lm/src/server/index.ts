/** The subpath `@mamba/lm/server`: an OpenAI-compatible endpoint, in Node. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { invalid, MambaError } from '@mamba/core';
import { checkInteger, checkOptions } from '../check.ts';
import { Batcher } from '../generate/batcher.ts';
import type { LanguageModel } from '../language-model.ts';
import { PrefixCache } from '../session/prefix-cache.ts';
import { createApp } from './app.ts';

export interface ServeOptions {
  /** Default 127.0.0.1: this machine alone. */
  readonly host?: string | undefined;
  /** 0 takes a free one. Default 8080. */
  readonly port?: number | undefined;
  /** Asked of every request to /v1. Default: none. */
  readonly apiKey?: string | undefined;
  /** What clients call the model. Default: the last part of where it came from. */
  readonly name?: string | undefined;
  /** Sequences that run in one batch. Default 8. */
  readonly maxRows?: number | undefined;
  /** Sequences that wait; beyond them clients are told to come again (429). Default 64. */
  readonly maxWaiting?: number | undefined;
  /** Larger bodies are refused (413). Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Tokens that one choice may ask for, and a chat gets that does not say. Default 4096. */
  readonly maxTokens?: number | undefined;
  /** For the states of prompts, where prompts begin alike; 0 keeps none. Default 64 MiB. */
  readonly prefixCacheBytes?: number | undefined;
  /** What running requests get to finish in at `close()`, before they are ended. Default 10 seconds. */
  readonly graceMs?: number | undefined;
  /** Failures that are mistakes of the server; the client is told nothing of them. Default: to stderr. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface LanguageModelServer {
  /** Without a trailing slash; OpenAI's clients want it with `/v1`. */
  readonly url: string;
  readonly name: string;
  /** Sequences that run now, and that wait. */
  readonly load: Batcher['load'];
  /** Takes no more requests, lets the running ones finish for `graceMs`, ends the rest. The model stays its owner's. */
  close(): Promise<void>;
}

/**
 * Serves a model to OpenAI's clients: completions, chat where it has a template, streamed or whole; concurrent requests run in one
 * batch.
 * @throws MambaError `invalid-argument`, `unsupported` for a model without a tokenizer, `unavailable` where the port is taken.
 */
export async function serve(lm: LanguageModel, options: ServeOptions = {}): Promise<LanguageModelServer> {
  const { host, port, name, batcher, ...settings } = prepare(lm, options);
  const aborter = new AbortController();
  const running = new Set<ServerResponse>();
  let closing: Promise<void> | undefined;
  const app = createApp({ lm, name, batcher, ...settings, signal: aborter.signal });
  const listener = getRequestListener(app.fetch);
  const server: Server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    running.add(outgoing);
    outgoing.once('close', () => running.delete(outgoing));
    // Connections that stay open would go on asking.
    if (closing !== undefined) outgoing.setHeader('Connection', 'close');
    void listener(incoming, outgoing);
  });
  server.listen(port, host);
  await once(server, 'listening').catch((cause: unknown) => {
    throw new MambaError('unavailable', `${host}:${port} cannot be listened on: ${(cause as Error).message}`, {
      origin: 'serve',
      remedy: 'Give another port, or 0 for any that is free.',
      cause,
    });
  });

  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    const timer = setTimeout(() => aborter.abort(), settings.graceMs);
    while (running.size > 0) await Promise.all([...running].map((response) => once(response, 'close')));
    clearTimeout(timer);
    server.closeAllConnections();
    await closed;
    await batcher.dispose();
    settings.prefixCache?.dispose();
  };
  const address = server.address() as { readonly port: number };
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    name,
    get load() {
      return batcher.load;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

const KEYS: readonly (keyof ServeOptions)[] = [
  ...(['host', 'port', 'apiKey', 'name', 'maxRows', 'maxWaiting'] as const),
  ...(['maxBodyBytes', 'maxTokens', 'prefixCacheBytes', 'graceMs', 'onError'] as const),
];

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

function prepare(lm: LanguageModel, options: ServeOptions) {
  checkOptions('serve', options, KEYS);
  const {
    host = '127.0.0.1',
    port = 8080,
    apiKey,
    name = defaultName(lm.name),
    maxRows = 8,
    maxWaiting = 64,
  } = options;
  const { maxBodyBytes = 2 ** 20, maxTokens = 4096, prefixCacheBytes = 2 ** 26, graceMs = 10_000 } = options;
  checkInteger('serve.port', port, 0, 65535);
  for (const [key, value] of Object.entries({ maxBodyBytes, maxTokens })) checkInteger(`serve.${key}`, value, 1);
  for (const [key, value] of Object.entries({ prefixCacheBytes, graceMs })) checkInteger(`serve.${key}`, value, 0);
  if (apiKey === '') throw invalid('serve.apiKey', 'an empty one', 'a key, or none');
  lm.requireTokenizer();
  const batcher = new Batcher(lm, { maxRows, maxWaiting });
  return {
    ...{ host, port, name, batcher, apiKey, maxBodyBytes, graceMs },
    prefixCache: prefixCacheBytes > 0 ? new PrefixCache(lm, { maxBytes: prefixCacheBytes }) : undefined,
    limits: { maxTokens, maxChoices: maxRows + maxWaiting },
    hosts: LOOPBACK.includes(host) || host === '::1' ? LOOPBACK : undefined,
    onError: options.onError ?? ((error: unknown) => console.error(error)),
  };
}

function defaultName(location: string): string {
  const parts = location.split(/[/\\]/).filter((part) => part !== '');
  return parts.at(-1)?.replace(/[?#].*$/, '') || 'mamba';
}
