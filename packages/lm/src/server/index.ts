/** The subpath `@mamba/lm/server`: an OpenAI-compatible endpoint, in Node. */

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { invalid, MambaError } from '@mamba/core';
import { checkBoolean, checkInteger, checkOptions } from '@mamba/core/toolkit';
import { Batcher } from '../generate/batcher.ts';
import { PrefixCache } from '../generate/prefix-cache.ts';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import { createApp } from './app.ts';
import { canonicalHost, hostGuard } from './hosts.ts';
import { answerClientError, createListener } from './listener.ts';
import { PromptEncoder } from './prompt-encoder.ts';
import { Queue } from './queue.ts';
import { shutDown } from './shutdown.ts';

export { MemoryStore, type MemoryStoreOptions } from './store/memory.ts';
export { connectRedis, type RedisOptions } from './store/redis.ts';
export type { SetOptions, Store } from './store/store.ts';

export interface ServeOptions {
  /** The address to listen on. Default 127.0.0.1, which only this machine can reach. */
  readonly host?: string | undefined;
  /** 0 takes a free port. Default 8080. */
  readonly port?: number | undefined;
  /** Required for every request to /v1. Default: none. */
  readonly apiKey?: string | undefined;
  /**
   * Further names or addresses that are accepted as the Host of requests. Default: none if the server is bound to
   * loopback, otherwise any.
   */
  readonly allowHosts?: readonly string[] | undefined;
  /**
   * Origins of pages that may read answers, as `https://app.example`; `*` is any. Default: none but the server's own.
   */
  readonly cors?: readonly string[] | undefined;
  /** The model's name for clients. Default: the last part of its location. */
  readonly name?: string | undefined;
  /** Most sequences in a batch. Default 8. */
  readonly maxRows?: number | undefined;
  /** Most sequences that wait; further requests are refused (429). Default 64. */
  readonly maxWaiting?: number | undefined;
  /** Most bytes of a body; larger ones are refused (413). Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Most characters of a request's prompts; more are refused before they are encoded. Default 524,288. */
  readonly maxPromptChars?: number | undefined;
  /** Most tokens of a request's prompts. Default 131,072. */
  readonly maxPromptTokens?: number | undefined;
  /**
   * Encodes special tokens in prompts and messages as ordinary text, unless a request sets `split_special_tokens`.
   * Default false.
   */
  readonly splitSpecialTokens?: boolean | undefined;
  /** Most tokens that one choice may request, and the default of chats. Default 4096. */
  readonly maxTokens?: number | undefined;
  /** Bytes of a cache for the states of prompts; 0 has none. Default 64 MiB. */
  readonly prefixCacheBytes?: number | undefined;
  /** Milliseconds that `close()` gives running requests to finish. Default 10,000. */
  readonly graceMs?: number | undefined;
  /** Called for every answer of status 500 and above. Default: console.error. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface LanguageModelServer {
  /** Without a trailing slash; OpenAI's clients take it with `/v1`. */
  readonly url: string;
  readonly name: string;
  /** Number of sequences that run, and that wait. */
  readonly load: Batcher['load'];
  /**
   * Refuses new requests, lets running ones finish within `graceMs`, and aborts the rest. Does not dispose the model.
   */
  close(): Promise<void>;
}

/**
 * Serves a model by OpenAI's API: completions, chats if it has a template, and embeddings. Answers are whole or
 * streamed, and concurrent requests run in one batch.
 * @throws MambaError `invalid-argument`, `unsupported` for a model without a tokenizer, `unavailable` if the port is
 * taken.
 */
export async function serve(lm: LanguageModel, options: ServeOptions = {}): Promise<LanguageModelServer> {
  const { host, port, name, batcher, isKnownHost, ...settings } = prepare(lm, options);
  const aborter = new AbortController();
  const running = new Set<ServerResponse>();
  let closing: Promise<void> | undefined;
  const app = createApp({ lm, name, batcher, ...settings, signal: aborter.signal });
  const listener = createListener(app, { isKnownHost, onError: settings.onError });
  // The listener answers requests without a Host, in the form of the API.
  const server = createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    running.add(outgoing);
    outgoing.once('close', () => running.delete(outgoing));
    // Clients would send further requests over connections that stay open.
    if (closing !== undefined) outgoing.setHeader('Connection', 'close');
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

  const close = async (): Promise<void> => {
    await shutDown(server, running, { graceMs: settings.graceMs, abort: () => aborter.abort() });
    await Promise.all([settings.encoder.dispose(), settings.serialJobs.idle()]);
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
  ...(['host', 'port', 'apiKey', 'allowHosts', 'cors', 'name', 'maxRows', 'maxWaiting'] as const),
  ...(['maxBodyBytes', 'maxPromptChars', 'maxPromptTokens', 'splitSpecialTokens'] as const),
  ...(['maxTokens', 'prefixCacheBytes', 'graceMs', 'onError'] as const),
];

function prepare(lm: LanguageModel, options: ServeOptions) {
  checkOptions('serve', options, KEYS);
  const {
    host: given = '127.0.0.1',
    port = 8080,
    apiKey,
    allowHosts = [],
    cors: origins = [],
    name = defaultName(lm.name),
    maxRows = 8,
    maxWaiting = 64,
  } = options;
  const { maxBodyBytes = 2 ** 20, maxTokens = 4096, prefixCacheBytes = 2 ** 26, graceMs = 10_000 } = options;
  const { maxPromptChars = 2 ** 19, maxPromptTokens = 2 ** 17, splitSpecialTokens = false } = options;
  checkInteger('serve.port', port, 0, 65535);
  for (const [key, value] of Object.entries({ maxBodyBytes, maxPromptChars, maxPromptTokens, maxTokens }))
    checkInteger(`serve.${key}`, value, 1);
  for (const [key, value] of Object.entries({ prefixCacheBytes, graceMs })) checkInteger(`serve.${key}`, value, 0);
  if (apiKey !== undefined) checkKey(apiKey);
  for (const name of allowHosts)
    if (canonicalHost(name) === undefined)
      throw invalid('serve.allowHosts', JSON.stringify(name), 'names or addresses, without a port, as "model.example"');
  for (const origin of origins)
    if (!isOrigin(origin))
      throw invalid('serve.cors', JSON.stringify(origin), 'origins without a path, as "https://app.example", or "*"');
  const host = given.replace(/^\[(.*)\]$/, '$1');
  checkBoolean('serve.splitSpecialTokens', splitSpecialTokens);
  requireTokenizer(lm);
  const batcher = new Batcher(lm, { maxRows, maxWaiting });
  return {
    ...{ host, port, name, batcher, apiKey, maxBodyBytes, graceMs },
    prefixCache: prefixCacheBytes > 0 ? new PrefixCache(lm, { maxBytes: prefixCacheBytes }) : undefined,
    encoder: new PromptEncoder(lm, maxWaiting),
    serialJobs: new Queue(maxWaiting),
    splitSpecialTokens,
    limits: { maxTokens, maxPromptChars, maxPromptTokens, maxChoices: maxRows + maxWaiting },
    isKnownHost: hostGuard(host, allowHosts),
    origins,
    onError: options.onError ?? ((error: unknown) => console.error(error)),
  };
}

/** Checks that a header can carry the key. */
function checkKey(key: string): void {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(key)) return;
  const given = key === '' ? 'an empty one' : 'one that no header can carry';
  throw invalid('serve.apiKey', given, 'a key of ASCII, without spaces at its ends, or none');
}

/** Whether it is an Origin header of a browser, or `*`. */
function isOrigin(origin: string): boolean {
  if (origin === '*' || origin === 'null') return true;
  try {
    const { origin: canonical } = new URL(origin);
    // `URL` has no origin for unknown schemes, such as those of extensions.
    return canonical === 'null' ? /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.test(origin) : canonical === origin;
  } catch {
    return false;
  }
}

function defaultName(location: string): string {
  const parts = location.split(/[/\\]/).filter((part) => part !== '');
  return parts.at(-1)?.replace(/[?#].*$/, '') || 'mamba';
}
