/** Downloads from a local server with the hub's API, without a network. */
import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFile, openCheckpoint, writeGguf } from '@mamba/checkpoint';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openCache as openBrowserCache } from '../src/hub/browser-cache.ts';
import type { Download, HubCache } from '../src/hub/cache.ts';
import { type DownloadProgress, type HubOptions, hub } from '../src/hub/hub.ts';
import { openCache as openNodeCache } from '../src/hub/node-cache.ts';
import { loadModel } from '../src/index.ts';
import { connectLanguageModels, serveLanguageModels, type WorkerPort } from '../src/worker/index.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';
import { type FakeHub, fakeHub, gitHash } from './hub-server.ts';

const ID = 'owner/kjv';
const NAMES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const MODEL = 'model.safetensors';

let server: FakeHub;
let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'mamba-hub-'));
  server = await fakeHub(ID, new Map(NAMES.map((name) => [name, `${FIXTURES}/kjv-mamba/${name}`])), [MODEL]);
});

afterEach(async () => {
  await server.close();
  await rm(cache, { recursive: true });
});

const options = (more: HubOptions = {}): HubOptions => ({
  endpoint: server.url,
  cache,
  token: '',
  wait: async () => {},
  ...more,
});
const repository = (): string => join(cache, 'models--owner--kjv');
const incomplete = async (): Promise<string[]> =>
  (await readdir(join(repository(), 'blobs'))).filter((name) => name.endsWith('.incomplete'));

async function bytesOf(name: string, more: HubOptions = {}): Promise<Uint8Array | undefined> {
  const source = await hub(ID, options(more)).open(name);
  try {
    return source && (await source.read(0, source.size));
  } finally {
    await source?.close();
  }
}

/** Whether a file of the store has the right content. */
async function same(name: string): Promise<boolean> {
  const bytes = await bytesOf(name);
  return bytes !== undefined && Buffer.compare(bytes, await readFile(`${FIXTURES}/kjv-mamba/${name}`)) === 0;
}

async function greedy(location: Parameters<typeof loadModel>[1]): Promise<string> {
  const backend = await cpu().create();
  try {
    const lm = await loadModel(backend, location);
    const pieces = await collect(lm.generate({ prompt: 'And God said', maxTokens: 8 }));
    lm.dispose();
    return pieces.map(({ text }) => text).join('');
  } finally {
    await backend.dispose();
  }
}

describe('hub', () => {
  it('loads a model, caches it as Hugging Face does, and then works offline', async () => {
    const seen: DownloadProgress[] = [];
    const expected = await greedy(`${FIXTURES}/kjv-mamba`);
    expect(await greedy(hub(`hf:${ID}`, options({ onProgress: (progress) => seen.push(progress) })))).toBe(expected);
    const { size } = await stat(`${FIXTURES}/kjv-mamba/${MODEL}`);
    expect(seen).toContainEqual({ file: MODEL, bytes: size, totalBytes: size });
    const commit = server.commit;
    expect(await readFile(join(repository(), 'refs', 'main'), 'utf8')).toBe(commit);
    const link = await readlink(join(repository(), 'snapshots', commit, 'config.json'));
    expect(link).toBe(join('..', '..', 'blobs', gitHash(await readFile(`${FIXTURES}/kjv-mamba/config.json`))));
    expect(await incomplete()).toEqual([]);
    // The second time only the commit and the names are requested.
    server.requests.length = 0;
    expect(await greedy(hub(ID, options()))).toBe(expected);
    expect(server.requests.every((request) => request.startsWith('GET /api/'))).toBe(true);
    // With the option, and with an unreachable server.
    server.requests.length = 0;
    expect(await greedy(hub(ID, options({ offline: true })))).toBe(expected);
    expect(server.requests).toEqual([]);
    server.status = 503;
    expect(await greedy(hub(ID, options()))).toBe(expected);
    expect(await greedy(hub(ID, options({ endpoint: 'http://127.0.0.1:9' })))).toBe(expected);
  });

  it('takes hf: as a location, with the environment variables', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { HF_ENDPOINT: server.url, HF_HUB_CACHE: cache, HF_TOKEN: 'hf_secret' });
    server.token = 'hf_secret';
    try {
      expect(await greedy(`hf:${ID}`)).toBe(await greedy(`${FIXTURES}/kjv-mamba`));
    } finally {
      process.env = before;
    }
  });

  it('reports the progress of downloads, through a worker too', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { HF_ENDPOINT: server.url, HF_HUB_CACHE: cache, HF_TOKEN: '' });
    const channel = new MessageChannel();
    const stop = serveLanguageModels(channel.port2 as WorkerPort, [cpu()]);
    const connection = connectLanguageModels(channel.port1 as WorkerPort);
    try {
      const seen: DownloadProgress[] = [];
      const lm = await connection.load(`hf:${ID}`, { onDownload: (progress) => seen.push(progress) });
      for (const name of ['config.json', MODEL]) {
        const own = seen.filter(({ file }) => file === name);
        expect(own.at(-1)!.bytes).toBe(own.at(-1)!.totalBytes);
        expect(own.map(({ bytes }) => bytes)).toEqual(own.map(({ bytes }) => bytes).toSorted((a, b) => a - b));
      }
      // Cached files are not downloaded.
      await connection.load(`hf:${ID}`, { onDownload: () => expect.unreachable('in the cache') });
      await lm.dispose();
    } finally {
      process.env = before;
      connection.close();
      await stop();
      channel.port1.close();
    }
  });

  it('resumes when a connection is cut', async () => {
    server.cut = { file: MODEL, after: 300_000, times: 3 };
    expect(await same(MODEL)).toBe(true);
    const starts = server.requests
      .filter((request) => /cdn.* \d+-$/.test(request))
      .map((request) => parseInt(request.split(' ')[2]!, 10));
    expect(starts).toHaveLength(4);
    expect(starts[0]).toBe(0);
    for (const [index, start] of starts.entries()) if (index > 0) expect(start).toBeGreaterThan(starts[index - 1]!);
  });

  it('resumes in the next run', async () => {
    server.cut = { file: MODEL, after: 300_000, times: 1 };
    const aborter = new AbortController();
    const stop = ({ bytes }: DownloadProgress): void => {
      if (bytes > 100_000) aborter.abort();
    };
    await expectError(() => bytesOf(MODEL, { onProgress: stop, signal: aborter.signal }), 'aborted', ID);
    const [left] = await incomplete();
    const { size } = await stat(join(repository(), 'blobs', left!));
    expect(size).toBeGreaterThan(0);
    server.cut = undefined;
    server.requests.length = 0;
    expect(await same(MODEL)).toBe(true);
    expect(server.requests.at(-1)).toBe(`GET /cdn/${MODEL} ${size}-`);
    expect(await incomplete()).toEqual([]);
  });

  it('gives up if nothing arrives, and keeps the received bytes', async () => {
    server.cut = { file: MODEL, after: 0, times: 100 };
    await expectError(() => bytesOf(MODEL), 'io', MODEL);
    expect(server.cut.times).toBe(95);
    server.cut = undefined;
    expect((await bytesOf(MODEL))?.length).toBeGreaterThan(0);
  });

  it('accepts a server that ignores ranges', async () => {
    server.ignoreRanges = true;
    server.cut = { file: MODEL, after: 300_000, times: 1 };
    expect(await same(MODEL)).toBe(true);
  });

  it.each([MODEL, 'config.json'])(
    'refuses a damaged %s, keeps nothing of it, and accepts a sound one',
    async (name) => {
      server.corrupt = name;
      await expectError(() => bytesOf(name), 'invalid-file', 'came damaged', name);
      expect(await incomplete()).toEqual([]);
      await expectError(() => bytesOf(name, { offline: true }), 'unavailable', 'not in the cache');
      server.corrupt = undefined;
      expect(await same(name)).toBe(true);
    },
  );

  it('follows a branch, and downloads only changed files', async () => {
    await bytesOf(MODEL);
    const old = server.commit;
    server.commit = '2'.repeat(40);
    server.requests.length = 0;
    await bytesOf(MODEL);
    expect(server.requests.every((request) => request.startsWith('GET /api/'))).toBe(true);
    expect(await bytesOf(MODEL, { revision: old, offline: true })).toBeDefined();
    expect(await bytesOf('nothing.json')).toBeUndefined();
    expect(await bytesOf('nothing.json', { offline: true })).toBeUndefined();
  });

  it('reports what is missing', async () => {
    await expectError(
      () => bytesOf('config.json', { offline: true }),
      'unavailable',
      `hf:${ID}@main is not in the cache`,
    );
    const gone = () => bytesOf('config.json', { endpoint: 'http://127.0.0.1:9' });
    await expectError(gone, 'io', `hf:${ID}@main cannot be reached: `);
    await expectError(() => bytesOf('config.json', { revision: 'other' }), 'invalid-file', 'no such');
    await expectError(() => hub('owner/none', options()).open('config.json'), 'invalid-file', '404');
    server.token = 'hf_secret';
    await expectError(() => bytesOf('config.json'), 'unavailable', 'HF_TOKEN');
    expect(await bytesOf('config.json', { token: 'hf_secret' })).toBeDefined();
  });

  it.each([
    ...['', 'kjv', 'a/b/../c', 'a/b/c.gguf:Q8_0', '../x', 'hf:', 'owner/na me', 'owner/../x', 'owner/name@'],
    ...['owner/name//model.gguf', 'owner/name/../model.gguf', 'https://example.org/owner/name'],
  ])('refuses the id %j', async (id) => {
    await expectError(() => hub(id), 'invalid-argument', 'the id of a repository is not valid', 'owner/name');
  });

  it('reads the header of a GGUF file before it downloads the file', async () => {
    const name = 'kjv-F32.gguf';
    const path = join(cache, name);
    const checkpoint = await openCheckpoint(`${FIXTURES}/kjv-mamba`);
    const { config, source, specialTokens } = checkpoint;
    const tokenizer = (await checkpoint.tokenizerFiles()).json;
    await writeGguf({ config, source, type: 'F32', sink: await createFile(path), tokenizer, specialTokens });
    await checkpoint.close();
    await server.close();
    server = await fakeHub(ID, new Map([[name, path]]), [name]);
    const asked = (): string[] => server.requests.splice(0).filter((request) => request.includes('/cdn/'));

    const backend = await cpu().create();
    const memory: Backend['memory'] = () => ({ ...backend.memory(), limit: 2 ** 20 });
    const small = new Proxy(backend, { get: (own, key) => (key === 'memory' ? memory : Reflect.get(own, key)) });
    for (const id of [`hf:${ID}/${name}`, `hf:${ID}:F32`, `hf:${ID}`]) {
      await expectError(() => loadModel(small, hub(id, options())), 'out-of-memory', 'does not fit');
      const requests = asked();
      const { size } = await stat(path);
      expect(requests.length).toBeGreaterThan(0);
      for (const request of requests) expect(Number(/-(\d+)$/.exec(request)?.[1])).toBeLessThan(size / 8);
    }
    await backend.dispose();

    // A server without ranges sends the whole file; a cached file is not read over the network.
    const expected = await greedy(path);
    server.instead = (_, response, { headers }) => {
      if (!/-\d+$/.test(headers.range ?? '')) return false;
      response.writeHead(200).end('the whole of it');
      return true;
    };
    expect(await greedy(hub(`${ID}/${name}`, options()))).toBe(expected);
    server.instead = undefined;
    server.requests.splice(0);
    expect(await greedy(hub(`${ID}/${name}`, options()))).toBe(expected);
    expect(asked()).toEqual([]);
  });

  it('opens one GGUF file of several', async () => {
    expect(await hub(`hf:${ID}/b.gguf`, options()).list!()).toEqual(['b.gguf']);
    expect(hub(`${ID}@refs/pr/1/b.gguf`, options()).name).toBe(`hf:${ID}@refs/pr/1`);
    await expectError(() => hub(ID, options()).open('../secret'), 'invalid-file', 'plain');
    await expectError(() => hub(`${ID}@../../x`), 'invalid-argument', 'branch');
    await expectError(() => hub(ID, { token: 'an other' }), 'invalid-argument', 'hf_');
    await expectError(() => hub(ID, { endpiont: '' } as HubOptions), 'invalid-argument', 'endpiont');
  });
});

/** The used part of cache storage. */
function fakeStorage(): CacheStorage {
  const entries = new Map<string, Response>();
  const opened = {
    match: async (url: string) => entries.get(url)?.clone(),
    put: async (url: string, response: Response) => void entries.set(url, response),
    delete: async (url: string) => entries.delete(url),
    keys: async () => [...entries.keys()].map((url) => new Request(url)),
  };
  return { open: async () => opened } as unknown as CacheStorage;
}

/** The used part of Web Locks. */
function fakeLocks(): Pick<LockManager, 'request'> {
  let last: Promise<unknown> = Promise.resolve();
  const request = (_: string, __: LockOptions, hold: () => Promise<void>): Promise<unknown> => {
    last = last.then(hold);
    return last;
  };
  return { request } as Pick<LockManager, 'request'>;
}

describe.each([
  ['Node', () => openNodeCache(join(cache, 'models--a--b'))],
  ['a browser', () => openBrowserCache('a/b', 'test', { part: 1000 })],
])('the cache in %s', (_, open) => {
  let kept: HubCache;
  const commit = 'c'.repeat(40);
  const content = Uint8Array.from({ length: 3500 }, (_, index) => (index * 7 + (index >> 8)) & 255);
  const file = { name: 'below/a #file%', size: content.length, hash: gitHash(content) };

  beforeEach(() => {
    Object.defineProperty(globalThis, 'caches', { value: fakeStorage(), configurable: true });
    kept = open();
  });
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'caches');
  });

  it('remembers commits, and absent files', async () => {
    expect(await kept.commitOf('main')).toBeUndefined();
    await kept.setCommit('main', commit);
    await kept.setCommit('refs/pr/1', commit);
    expect(await kept.commitOf('main')).toBe(commit);
    expect(await kept.commitOf('refs/pr/1')).toBe(commit);
    expect(await kept.isAbsent(commit, 'x')).toBe(false);
    await kept.setAbsent(commit, 'x');
    expect(await kept.isAbsent(commit, 'x')).toBe(true);
  });

  it('receives a file in pieces and in two runs', async () => {
    const first = await kept.download(commit, file);
    expect(first.received).toBe(0);
    await first.write(content.subarray(0, 700));
    await first.write(content.subarray(700, 2600));
    await first.leave();
    expect(await kept.open(commit, file.name)).toBeUndefined();
    const second = await kept.download(commit, file);
    expect(second.received).toBeGreaterThanOrEqual(2000);
    await second.write(content.subarray(second.received));
    await second.finish();
    const source = await kept.open(commit, file.name);
    expect(await source!.read(0, source!.size)).toEqual(content);
    await source!.close();
    expect(await kept.list(commit)).toEqual([file.name]);
    // The same content is already cached for another commit.
    const other = await kept.download('d'.repeat(40), file);
    expect(other.received).toBe(file.size);
    await other.finish();
    expect(await kept.list('d'.repeat(40))).toEqual([file.name]);
  });

  it('lets one download run while another waits for it', async () => {
    vi.stubGlobal('navigator', { locks: fakeLocks() });
    const first = await kept.download(commit, file);
    let second: Download | undefined;
    const waiting = kept.download(commit, file).then((download) => {
      second = download;
    });
    await first.write(content.subarray(0, 2500));
    expect(second).toBeUndefined();
    await first.leave();
    await waiting;
    expect(second!.received).toBeGreaterThanOrEqual(2000);
    await second!.write(content.subarray(second!.received));
    await second!.finish();
    await (await kept.download(commit, file)).finish();
    vi.unstubAllGlobals();
  });

  it('discards damaged and restarted downloads', async () => {
    const wrong = await kept.download(commit, file);
    await wrong.write(content.map((byte, index) => (index === 2222 ? byte ^ 1 : byte)));
    await expectError(() => wrong.finish(), 'invalid-file', 'came damaged');
    const again = await kept.download(commit, file);
    expect(again.received).toBe(0);
    await again.write(content.subarray(0, 2500));
    await again.restart();
    expect(again.received).toBe(0);
    await again.write(content);
    await again.finish();
    const source = await kept.open(commit, file.name);
    expect(source?.size).toBe(file.size);
    await source?.close();
  });
});
