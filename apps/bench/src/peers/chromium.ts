/** A headless Chromium out of npm packages, and a server of files for it that isolates pages, as threads need. */
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { brotliDecompressSync } from 'node:zlib';
import { importFrom } from './folder.ts';

/** What is used of playwright-core and tar-fs. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<A, R>(body: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
  on(event: 'console', listener: (message: { text(): string }) => void): void;
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
interface TarFs {
  extract(folder: string): NodeJS.WritableStream & { once(event: string, done: () => void): unknown };
}

const FLAGS = ['--headless', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'];

/**
 * @param folder Where its packages are installed.
 * @param cache Where it is unpacked, once.
 */
export async function openChromium(folder: string, cache = folder, flags: readonly string[] = []): Promise<Browser> {
  const home = await unpack(folder, join(cache, 'chromium'));
  const { chromium } = await importFrom<{ chromium: { launch(options: object): Promise<Browser> } }>(
    folder,
    'playwright-core/index.mjs',
  );
  return chromium.launch({
    executablePath: join(home, 'chromium'),
    args: [...FLAGS, ...flags],
    env: { ...process.env, LD_LIBRARY_PATH: join(home, 'lib') },
  });
}

/** Chromium, the libraries that it wants, and SwiftShader, which it looks for beside itself. */
async function unpack(folder: string, target: string): Promise<string> {
  if (existsSync(target)) return target;
  const home = await realpath(join(folder, 'node_modules', '@sparticuz', 'chromium'));
  const part = `${target}.${process.pid}`;
  await mkdir(part, { recursive: true });
  try {
    const tar = createRequire(join(home, 'package.json'))('tar-fs') as TarFs;
    const read = async (name: string) => brotliDecompressSync(await readFile(join(home, 'bin', name)));
    await writeFile(join(part, 'chromium'), await read('chromium.br'), { mode: 0o755 });
    for (const name of ['al2023.tar.br', 'swiftshader.tar.br']) {
      const extraction = tar.extract(part);
      const archive = await read(name);
      await new Promise<void>((resolve) => {
        extraction.once('finish', resolve);
        extraction.end(archive);
      });
    }
    // Two may unpack at once: the first to be done gives it its name.
    await rename(part, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error;
    });
    return target;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

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
      // A page that goes away ends it early.
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
