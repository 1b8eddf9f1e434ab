/** A server of files that isolates its pages from other origins, as threads need. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
  html: 'text/html',
};

/** Serves these files by their paths, on this machine alone. */
export async function serveFiles(
  files: Readonly<Record<string, string | { readonly text: string }>>,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? '/';
    const file = files[path];
    const headers = {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Content-Type': TYPES[path.split('.').at(-1) ?? ''] ?? (path === '/' ? 'text/html' : 'application/octet-stream'),
    };
    if (file === undefined) {
      response.writeHead(404).end();
    } else if (typeof file === 'object') {
      response.writeHead(200, headers).end(file.text);
    } else {
      response.writeHead(200, { ...headers, 'Content-Length': (await stat(file)).size });
      // A page that closes ends the stream early.
      await pipeline(createReadStream(file), response).catch(() => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
