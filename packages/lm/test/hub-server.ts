/** A server with the hub's API, with faults to order. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeHub {
  readonly url: string;
  /** Requests so far, as `GET /path` or `GET /path 10-`. */
  readonly requests: string[];
  commit: string;
  /** Bodies of `file` end after so many bytes, for the first `times` requests. */
  cut: { file: string; after: number; times: number } | undefined;
  /** This file is sent with wrong bytes. */
  corrupt: string | undefined;
  ignoreRanges: boolean;
  token: string | undefined;
  /** The status of every answer. */
  status: number | undefined;
  /** Answers instead of the hub if it returns true. */
  instead: ((path: string, response: ServerResponse, request: IncomingMessage) => boolean) | undefined;
  /** The address of large files, if they are on another host. */
  cdn: string;
  /** Answers have neither Content-Range nor ETag. */
  terse: boolean;
  close(): Promise<void>;
}

/**
 * Serves files, given by their paths or contents. `large` files are served as the hub does: with a SHA-256, and by a
 * redirect.
 */
export async function fakeHub(
  repository: string,
  files: ReadonlyMap<string, string | Buffer>,
  large: readonly string[],
): Promise<FakeHub> {
  const contents = new Map<string, Buffer>();
  for (const [name, given] of files) contents.set(name, typeof given === 'string' ? await readFile(given) : given);

  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, hub.url).pathname);
    const range = request.headers.range?.replace('bytes=', '');
    hub.requests.push(`${request.method} ${path}${range === undefined ? '' : ` ${range}`}`);
    if (hub.instead?.(path, response, request)) return;
    if (hub.status !== undefined) return fail(response, hub.status, 'Error');
    if (hub.token !== undefined && !path.startsWith('/cdn/') && request.headers.authorization !== `Bearer ${hub.token}`)
      return fail(response, 401, 'GatedRepo');
    const api = `/api/models/${repository}`;
    if (path === `${api}/revision/main` || path === `${api}/revision/${hub.commit}`)
      return json(response, {
        _id: '1',
        id: repository,
        modelId: repository,
        sha: hub.commit,
        private: false,
        gated: false,
      });
    if (path === `${api}/tree/${hub.commit}`)
      return json(
        response,
        [...contents].map(([name, content]) => ({
          ...{ type: 'file', path: name, size: content.length, oid: gitHash(content) },
          ...(large.includes(name) && { lfs: { oid: sha256(content), size: content.length, pointerSize: 134 } }),
        })),
      );
    const resolve = `/${repository}/resolve/${hub.commit}/`;
    const asked = path.startsWith(resolve) ? path.slice(resolve.length) : path.replace(/^\/cdn\//, '');
    const content = path.startsWith(resolve) || path.startsWith('/cdn/') ? contents.get(asked) : undefined;
    if (content === undefined) return fail(response, 404, 'EntryNotFound');
    if (large.includes(asked) && path.startsWith(resolve))
      return response
        .writeHead(302, { location: `${hub.cdn}/cdn/${asked}`, 'X-Linked-ETag': `"${sha256(content)}"` })
        .end();
    give(response, asked, content, range);
  });

  function give(response: ServerResponse, name: string, content: Buffer, range: string | undefined): void {
    const [, from = '0', to = ''] = /^(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const partial = range !== undefined && !(hub.ignoreRanges && to === '');
    const start = partial ? Number(from) : 0;
    const end = partial && to !== '' ? Number(to) + 1 : content.length;
    const body = Buffer.from(content.subarray(start, end));
    if (hub.corrupt === name) body[body.length >> 1]! ^= 1;
    response.writeHead(partial ? 206 : 200, {
      'Content-Length': body.length,
      ...(!hub.terse && { ETag: `"${gitHash(content)}"` }),
      ...(partial && !hub.terse && { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}` }),
    });
    const { cut } = hub;
    // Requests for the size only are not cut.
    if (cut === undefined || cut.file !== name || cut.times === 0 || to !== '') return void response.end(body);
    cut.times--;
    response.write(body.subarray(0, cut.after), () => setTimeout(() => response.destroy(), 20));
  }

  const hub: FakeHub = {
    ...{ url: '', requests: [], commit: '1'.repeat(40) },
    ...{ cut: undefined, corrupt: undefined, ignoreRanges: false, token: undefined, status: undefined },
    ...{ instead: undefined, cdn: '', terse: false },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(hub, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

export function gitHash(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'X-Error-Code': code }).end(`{"error":"${code}"}`);
}
