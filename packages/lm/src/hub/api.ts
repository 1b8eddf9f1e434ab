import { type RequestOptions, refusalOf, request, retry, statusOf, unreachable } from '@mamba/checkpoint';
import { isMambaError, MambaError } from '@mamba/core';
import type { HubFile } from './cache.ts';
import { HASH } from './hash.ts';

/** A server with the hub's API, and the repository that is requested from it. */
export interface HubServer extends RequestOptions {
  readonly endpoint: string;
  readonly repository: string;
  /** Names the repository in errors. */
  readonly name: string;
}

export const COMMIT = /^[0-9a-f]{40}$/;

/** The commit of a revision. @throws MambaError `invalid-file`, `unavailable`, `io`, `aborted` */
export async function askCommit(server: HubServer, revision: string, attempts?: number): Promise<string> {
  const url = `${server.endpoint}/api/models/${server.repository}/revision/${encodeURIComponent(revision)}`;
  const { json } = await askJson(server, url, 'its commit', attempts);
  const { sha } = (json ?? {}) as { readonly sha?: unknown };
  if (typeof sha !== 'string' || !COMMIT.test(sha)) throw unexpectedAnswer(server, `the commit ${JSON.stringify(sha)}`);
  return sha;
}

/** All files of a commit, by their paths. @throws MambaError as `askCommit`. */
export async function askFiles(server: HubServer, commit: string, what: string): Promise<ReadonlyMap<string, HubFile>> {
  const files = new Map<string, HubFile>();
  const first = `${server.endpoint}/api/models/${server.repository}/tree/${commit}?recursive=true&expand=false`;
  const asked = new Set<string>();
  for (let url: string | undefined = first; url !== undefined; ) {
    asked.add(url);
    const { json, next }: Page = await askJson(server, url, what);
    if (!Array.isArray(json)) throw unexpectedAnswer(server, 'no list of files');
    for (const entry of json as readonly (TreeEntry | null)[]) {
      if (entry?.type !== 'file') continue;
      const file = {
        name: String(entry.path),
        size: entry.lfs?.size ?? entry.size ?? Number.NaN,
        hash: String(entry.lfs?.oid ?? entry.oid).replace(/^sha256:/, ''),
      };
      if (!HASH.test(file.hash) || !Number.isSafeInteger(file.size) || file.size < 0)
        throw unexpectedAnswer(server, `${file.name} of ${file.size} bytes with the hash ${JSON.stringify(file.hash)}`);
      files.set(file.name, file);
    }
    if (next !== undefined) checkNext(server, next, asked);
    url = next;
  }
  // An empty list is not trusted: the cache would remember that every file is absent.
  if (files.size === 0) throw unexpectedAnswer(server, 'a repository without a file');
  return files;
}

/** The next page must be on the same origin, which the token may be sent to, and must not have been read before. */
function checkNext(server: HubServer, next: string, asked: ReadonlySet<string>): void {
  const { origin } = new URL(next);
  if (origin !== new URL(server.endpoint).origin) throw unexpectedAnswer(server, `more of its files at ${origin}`);
  if (asked.has(next)) throw unexpectedAnswer(server, 'pages of files that go round in a circle');
}

/** The address of a file's content. */
export function fileUrl({ endpoint, repository }: HubServer, commit: string, file: string): string {
  return `${endpoint}/${repository}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`;
}

/** The error for an answer other than 200 and 206. @param what What was requested, in words. */
export function refusal({ name }: HubServer, what: string, response: Response): MambaError {
  const { status } = response;
  const given = `${statusOf(response)} for ${what}`;
  if (status === 404 || status === 410)
    return new MambaError('invalid-file', `${name}: there is no such repository, revision or file`, {
      ...{ origin: name, given },
      remedy: 'Check the name; a private repository wants a token (HF_TOKEN).',
    });
  const cause = refusalOf(response);
  if (cause !== undefined)
    return new MambaError('unavailable', `${name}: the hub does not give access`, {
      ...{ origin: name, given, cause },
      remedy: 'Give a token (HF_TOKEN) that may read it; the hub says 401 also where there is no such repository.',
    });
  return new MambaError('io', `${name}: ${what} cannot be had`, {
    ...{ origin: name, given },
    remedy: 'Check the endpoint, and try again: what came is kept.',
  });
}

/** The error for an answer that the hub would not give. */
export function unexpectedAnswer({ name }: HubServer, given: string): MambaError {
  return new MambaError('invalid-file', `${name}: the server does not answer as the hub does`, {
    ...{ origin: name, given },
    remedy: MIRROR,
  });
}

const MIRROR = 'Check the endpoint (HF_ENDPOINT): it has to be the hub or a mirror with its addresses.';

interface TreeEntry {
  readonly type?: unknown;
  readonly path?: unknown;
  readonly oid?: string;
  readonly size?: number;
  readonly lfs?: { readonly oid?: string; readonly size?: number };
}

interface Page {
  readonly json: unknown;
  /** The address of the next page. */
  readonly next: string | undefined;
}

function askJson(server: HubServer, url: string, what: string, attempts?: number): Promise<Page> {
  const { name } = server;
  const ask = async (): Promise<Page> => {
    const response = await request(url, { name, headers: { Accept: 'application/json' } }, server);
    if (!response.ok) {
      await response.body?.cancel();
      throw refusal(server, what, response);
    }
    let text: string;
    try {
      text = await response.text();
    } catch (cause) {
      throw unreachable(name, server.signal, cause);
    }
    const next = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
    if (next !== undefined && !URL.canParse(next, url))
      throw unexpectedAnswer(server, `more of its files at ${quoted(next)}`);
    return { json: parse(server, text), next: next === undefined ? undefined : new URL(next, url).href };
  };
  return retry(ask, { ...server, attempts });
}

function parse(server: HubServer, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Often a captive portal or a proxy.
    throw new MambaError('io', `${server.name}: something else than the hub answers`, {
      ...{ origin: server.name, given: `what is not JSON: ${quoted(text)}` },
      remedy: MIRROR,
    });
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

/** Whether the hub could not be reached, rather than refused. */
export function isUnreachable(error: unknown): boolean {
  return isMambaError(error, 'io') && error.origin?.startsWith('hf:') === true;
}
