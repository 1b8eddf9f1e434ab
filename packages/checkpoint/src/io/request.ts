import { invalid, isMambaError, MambaError } from '@mamba/core';
import { quote, reasonOf } from '../errors.ts';
import { aborted, type RetryOptions, Transient } from './retry.ts';

/** How requests are sent. They hold for all requests to one location. */
export interface RequestOptions extends Pick<RetryOptions, 'signal' | 'wait'> {
  /**
   * Headers of every request, for authorisation for example. They are sent to the host of the address alone, not to a
   * host that it redirects to.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * The cause of an error where a host refuses a file (401, 403). Some hosts answer so for files that they do not have.
 */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** The cause for the error of a refusing response; undefined for any other response. */
export function refusalOf({ status }: Response): Refused | undefined {
  return status === 401 || status === 403 ? new Refused(status) : undefined;
}

/** Facts about an address that its next request uses. */
export interface Route {
  /** Whether the address redirects in a way that only the browser can follow. */
  isOpaque?: boolean;
}

/** One request. */
export interface RequestInput {
  /** The name of the file, for messages. Default: the address. */
  readonly name?: string | undefined;
  readonly method?: 'GET' | 'HEAD';
  /** Headers that are sent to every host, also after redirects. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The facts that requests to this address share. */
  readonly route?: Route | undefined;
}

/**
 * Sends one request; call it within `retry`. Returns a response of any status that another attempt would not change.
 * @throws MambaError `io` without a response, with a Transient as its cause if another attempt may succeed; `aborted`;
 * `invalid-argument` for an invalid address.
 */
export async function request(url: string, input: RequestInput, options: RequestOptions): Promise<Response> {
  checkAddress(url);
  const name = input.name ?? url;
  try {
    const response = await follow(url, input, options);
    if (!isBusy(response.status)) return response;
    await response.body?.cancel();
    const after = retryAfter(response.headers);
    throw new MambaError('io', `the server did not give ${name}`, {
      origin: name,
      given: statusOf(response),
      remedy: after > 0 ? `Try again in ${Math.ceil(after / 1000)} seconds, as the server asks.` : 'Try again later.',
      cause: new Transient(statusOf(response), after),
    });
  } catch (cause) {
    throw unreachable(name, options.signal, cause);
  }
}

/** The error for a response whose body could not be read. */
export function unreachable(name: string, signal: AbortSignal | undefined, cause: unknown): MambaError {
  if (isMambaError(cause)) return cause;
  if (signal?.aborted) return aborted(name, cause);
  return new MambaError('io', `${name} cannot be reached: ${reasonOf(cause)}`, {
    origin: name,
    remedy: 'Check the address and the connection, and try again.',
    cause: isLasting(cause) ? cause : new Transient(cause),
  });
}

/** The status of a response in words, for messages: `status 404 Not Found`. */
export function statusOf({ status, statusText }: Response): string {
  return `status ${status} ${statusText}`.trimEnd();
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 20;

/** Follows redirects itself, since `fetch` would send all headers but Authorization to the other host. */
async function follow(url: string, input: RequestInput, options: RequestOptions): Promise<Response> {
  const { fetch = globalThis.fetch, headers, signal } = options;
  const own = checkHeaders(headers ?? {});
  const init = { method: input.method ?? 'GET', signal: signal ?? null };
  if (own.length === 0) return fetch(url, { ...init, headers: { ...input.headers } });
  let current = url;
  let sent = { ...Object.fromEntries(own), ...input.headers };
  const { route = {} } = input;
  for (let count = 0; count <= MAX_REDIRECTS; count++) {
    // A browser does not tell the target of a redirect. It does not send Authorization to another host, and asks that
    // host (CORS) before it sends other headers.
    if (route.isOpaque) return fetch(current, { ...init, headers: sent });
    const response = await fetch(current, { ...init, headers: sent, redirect: 'manual' });
    if (response.type === 'opaqueredirect') {
      route.isOpaque = true;
      continue;
    }
    const location = REDIRECTS.includes(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    const next = parseUrl(location, current);
    if (next === undefined) throw redirectError(url, `a redirect to ${quote(location)}`);
    if (hasCredentials(next)) throw redirectError(url, `a redirect to ${next.host} with a user or a password`);
    if (!/^https?:$/.test(next.protocol)) throw redirectError(url, next.href);
    if (next.origin !== new URL(current).origin) sent = { ...input.headers };
    current = next.href;
  }
  throw redirectError(url, `more than ${MAX_REDIRECTS} redirects`);
}

/**
 * Checks an address before `fetch` does, whose error would look like one of the network.
 * @throws MambaError `invalid-argument` for an invalid address, and for one with a user or a password.
 */
export function checkAddress(url: string): void {
  const address = parseUrl(url, (globalThis as { readonly location?: { readonly href: string } }).location?.href);
  if (address === undefined) throw invalid('address', quote(url), 'an http(s) address');
  if (!hasCredentials(address)) return;
  // The message shows neither of them, since they are secret.
  throw invalid(
    'address',
    `one of ${address.host} with a user or a password`,
    'an address without them',
    'Give them as the header Authorization: Basic, and user:password in Base64.',
  );
}

function parseUrl(text: string, base: string | undefined): URL | undefined {
  return URL.canParse(text, base) ? new URL(text, base) : undefined;
}

function hasCredentials({ username, password }: URL): boolean {
  return username !== '' || password !== '';
}

/** Before `fetch` does, which would not say so in words, and whose error would look like the network's. */
function checkHeaders(headers: Readonly<Record<string, string>>): [string, string][] {
  const entries = Object.entries(headers);
  for (const [name, value] of entries) {
    try {
      new Headers([[name, value]]);
    } catch {
      // The message does not show the value, which may be secret.
      throw invalid(
        `headers.${JSON.stringify(name)}`,
        'what no header can hold',
        'a name, and a value of one line in Latin-1',
      );
    }
  }
  return entries;
}

function redirectError(origin: string, given: string): MambaError {
  const expected = 'an answer, or where on http(s) it is';
  return new MambaError('io', `the server did not give ${origin}`, { origin, given, expected });
}

function isBusy(status: number): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && status !== 501 && status !== 505);
}

/**
 * The waiting time that a response asks for, in milliseconds. A date is compared with the response's own date, since
 * both are of the server's clock.
 */
function retryAfter(headers: Headers): number {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text) - Date.parse(headers.get('date') ?? '');
  return Math.max(until || 0, 0);
}

/** Whether another attempt would fail too: errors of certificates and of invalid addresses. */
function isLasting(cause: unknown): boolean {
  const { code } = ((cause as { readonly cause?: unknown } | undefined)?.cause ?? {}) as { readonly code?: unknown };
  return /^(CERT_|ERR_TLS_|ERR_SSL_|ERR_INVALID_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH)/.test(
    String(code),
  );
}
