import { invalid } from '@mamba/core';
import { checkBoolean, checkInteger, checkOptions } from '@mamba/core/toolkit';
import { canonicalHost, hostGuard } from './hosts.ts';
import type { RateLimits } from './limits.ts';
import { MemoryStore } from './store/memory.ts';
import type { Store } from './store/store.ts';

/** What becomes of sessions between requests. */
export interface SessionSettings {
  /** Milliseconds after its last request that a session is kept. Default 24 hours. */
  readonly ttlMs?: number | undefined;
  /** Most bytes of a saved session; a larger one is refused. Default 256 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds after which a session of a killed server is free for others. Default 15,000. */
  readonly leaseMs?: number | undefined;
}

/** Where a server listens, whom it lets in, and what it bounds. */
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
  /**
   * Where sessions, states of prompts and counts of limits are kept; servers of one store continue each other's
   * sessions. It stays the caller's to close. Default: a `MemoryStore`.
   */
  readonly store?: Store | undefined;
  readonly sessions?: SessionSettings | undefined;
  /** Milliseconds that the store keeps the states of prompts; 0 keeps none there. Default 1 hour with `store`. */
  readonly sharedPrefixMs?: number | undefined;
  readonly limits?: RateLimits | undefined;
  /** Serves /metrics for Prometheus, by the optional peer dependency `prom-client`. Default false. */
  readonly metrics?: boolean | undefined;
  /**
   * Milliseconds that `close()` goes on taking requests while /ready says no, so that a balancer notices before any is
   * refused. Default 0.
   */
  readonly noticeMs?: number | undefined;
  /** Milliseconds that `close()` gives running requests to finish. Default 10,000. */
  readonly graceMs?: number | undefined;
  /**
   * Called for every answer of status 500 and above, but those that say that the server loads or closes. Default:
   * console.error.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const KEYS: readonly (keyof ServeOptions)[] = [
  ...(['host', 'port', 'apiKey', 'allowHosts', 'cors', 'name', 'maxRows', 'maxWaiting'] as const),
  ...(['maxBodyBytes', 'maxPromptChars', 'maxPromptTokens', 'splitSpecialTokens'] as const),
  ...(['maxTokens', 'prefixCacheBytes', 'graceMs', 'onError'] as const),
  ...(['store', 'sessions', 'sharedPrefixMs', 'limits', 'metrics', 'noticeMs'] as const),
];

export type Settings = ReturnType<typeof resolveSettings>;

/** Checked options with their defaults. @throws MambaError `invalid-argument` */
export function resolveSettings(options: ServeOptions) {
  checkOptions('serve', options, KEYS);
  const {
    host: given = '127.0.0.1',
    port = 8080,
    apiKey,
    allowHosts = [],
    cors: origins = [],
    name,
    maxRows = 8,
    maxWaiting = 64,
  } = options;
  const { maxBodyBytes = 2 ** 20, maxTokens = 4096, prefixCacheBytes = 2 ** 26, graceMs = 10_000 } = options;
  const { noticeMs = 0 } = options;
  const { maxPromptChars = 2 ** 19, maxPromptTokens = 2 ** 17, splitSpecialTokens = false, metrics = false } = options;
  const { store, sessions = {}, limits: rates = {} } = options;
  const { sharedPrefixMs = store === undefined ? 0 : 3_600_000 } = options;
  checkInteger('serve.port', port, 0, 65535);
  for (const [key, value] of Object.entries({ maxBodyBytes, maxPromptChars, maxPromptTokens, maxTokens }))
    checkInteger(`serve.${key}`, value, 1);
  for (const [key, value] of Object.entries({ prefixCacheBytes, noticeMs, graceMs, sharedPrefixMs }))
    checkInteger(`serve.${key}`, value, 0);
  checkPositive('serve.sessions', sessions, ['ttlMs', 'maxBytes', 'leaseMs']);
  checkPositive('serve.limits', rates, ['requestsPerMinute', 'tokensPerMinute']);
  if (apiKey !== undefined) checkKey(apiKey);
  for (const name of allowHosts)
    if (canonicalHost(name) === undefined)
      throw invalid('serve.allowHosts', JSON.stringify(name), 'names or addresses, without a port, as "model.example"');
  for (const origin of origins)
    if (!isOrigin(origin))
      throw invalid('serve.cors', JSON.stringify(origin), 'origins without a path, as "https://app.example", or "*"');
  const host = given.replace(/^\[(.*)\]$/, '$1');
  for (const [key, value] of Object.entries({ splitSpecialTokens, metrics })) checkBoolean(`serve.${key}`, value);
  return {
    ...{ host, port, name, apiKey, maxBodyBytes, noticeMs, graceMs, maxRows, maxWaiting, splitSpecialTokens, origins },
    ...{ prefixCacheBytes, sharedPrefixMs, sessionSettings: sessions, rates, showsMetrics: metrics },
    store: store ?? new MemoryStore(),
    limits: { maxTokens, maxPromptChars, maxPromptTokens, maxChoices: maxRows + maxWaiting },
    isKnownHost: hostGuard(host, allowHosts),
    onError: options.onError ?? ((error: unknown) => console.error(error)),
  };
}

function checkPositive(origin: string, options: object, known: readonly string[]): void {
  checkOptions(origin, options, known);
  for (const [key, value] of Object.entries(options))
    if (value !== undefined) checkInteger(`${origin}.${key}`, value, 1);
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

/** The last part of a location. */
export function defaultName(location: string): string {
  const parts = location.split(/[/\\]/).filter((part) => part !== '');
  return parts.at(-1)?.replace(/[?#].*$/, '') || 'mamba';
}
