/** The hub's protocol: mirrors, tokens, busy servers, redirects, files in folders. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refused, type Wait } from '@mamba/checkpoint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HubOptions, hub } from '../src/hub/hub.ts';
import { expectError } from './helpers.ts';
import { type FakeHub, fakeHub } from './hub-server.ts';

const ID = 'owner/many';
const LARGE = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
const NAMES = [
  ...['config.json', 'weights', 'a-F16.gguf', 'a-BF16.gguf', 'a.Q4_K_M.gguf', 'sub/deep/a#b%.gguf'],
  ...['Q8_0/a-Q8_0-00001-of-00002.gguf', 'Q8_0/a-Q8_0-00002-of-00002.gguf', 'Q8_0/tokenizer.json'],
];

let server: FakeHub;
let place: string;
let waits: number[];
/** The Authorization headers, by path. */
let sent: [string, string | undefined][];
let environment: NodeJS.ProcessEnv;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'mamba-hub-net-'));
  server = await fakeHub(ID, new Map(NAMES.map((name) => [name, name === 'weights' ? LARGE : Buffer.from(name)])), [
    'weights',
  ]);
  waits = [];
  sent = [];
  server.instead = (path, _, { headers }) => {
    sent.push([path, headers.authorization]);
    return false;
  };
  environment = process.env;
  process.env = { ...environment, HOME: place, HF_HUB_CACHE: join(place, 'cache'), HF_ENDPOINT: server.url };
  for (const name of ['HF_TOKEN', 'HF_TOKEN_PATH', 'HF_HOME', 'HUGGING_FACE_HUB_TOKEN', 'XDG_CACHE_HOME'])
    delete process.env[name];
});

afterEach(async () => {
  process.env = environment;
  await server.close();
  await rm(place, { recursive: true });
});

const wait: Wait = async (milliseconds) => void waits.push(milliseconds);

async function text(id: string, name: string, options: HubOptions = {}): Promise<string | undefined> {
  const source = await hub(id, { wait, ...options }).open(name);
  try {
    return source && Buffer.from(await source.read(0, source.size)).toString('latin1');
  } finally {
    await source?.close();
  }
}

describe('a mirror', () => {
  const whole = LARGE.toString('latin1');

  it.each([true, false])('may lack Content-Range and ETag (ranges: %s)', async (ranges) => {
    server.terse = true;
    server.ignoreRanges = !ranges;
    server.cut = { file: 'weights', after: 100_000, times: 2 };
    expect(await text(ID, 'weights')).toBe(whole);
    // Without ranges the second attempt makes no progress, so that the next wait is longer.
    expect(waits).toEqual(ranges ? [200, 200] : [200, 400]);
  });

  it('that is busy is asked again, for every kind of request', async () => {
    const asked = new Map<string, number>();
    server.instead = (path, response) => {
      const times = (asked.get(path) ?? 0) + 1;
      asked.set(path, times);
      if (times > 2) return false;
      if (times === 1) response.writeHead(429, { 'Retry-After': '3' }).end();
      else response.destroy();
      return true;
    };
    expect(await text(ID, 'weights')).toBe(whole);
    // The commit, the list of files, the file, and its redirect.
    expect(waits).toEqual([3000, 400, 3000, 400, 3000, 400, 3000, 1600]);
  });

  it('that answers with HTML is refused, and the cache is used', async () => {
    expect(await text(ID, 'config.json')).toBe('config.json');
    server.instead = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Log in</title>');
      return true;
    };
    expect(await text(ID, 'config.json')).toBe('config.json');
    await expectError(() => text(ID, 'weights'), 'io', '<!doctype html>', 'HF_ENDPOINT');
  });

  it('that lists no files is refused', async () => {
    server.instead = (path, response) => {
      if (!path.includes('/tree/')) return false;
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('[]');
      return true;
    };
    await expectError(() => text(ID, 'config.json'), 'invalid-file', 'without a file');
    server.instead = undefined;
    expect(await text(ID, 'config.json')).toBe('config.json');
  });

  it('may list its files in pages, on its own origin only', async () => {
    const page = (response: Parameters<NonNullable<FakeHub['instead']>>[1], next: string): boolean => {
      const link = { Link: `<${next}>; rel="next"`, 'Content-Type': 'application/json' };
      response.writeHead(200, link).end('[{"type":"directory","path":"x"}]');
      return true;
    };
    let next = `/api/models/owner/many/tree/${server.commit}?cursor=2`;
    server.instead = (_, response, { url }) =>
      url!.includes('/tree/') && !url!.includes('cursor') && page(response, next);
    expect(await text(ID, 'config.json')).toBe('config.json');
    for (const [address, word] of [
      ['http://elsewhere.test/tree', 'http://elsewhere.test'],
      ['//elsewhere.test/tree', 'http://elsewhere.test'],
      ['http://[', 'http://['],
      [`/api/models/${ID}/tree/${server.commit}?recursive=true&expand=false`, 'circle'],
    ] as const) {
      next = address;
      await expectError(() => text(ID, 'weights', { token: 'hf_x' }), 'invalid-file', word);
    }
    expect(waits).toEqual([]);
  });

  it.each(['nonsense', 'ftp://host'])('is refused for the address %s', async (endpoint) => {
    await expectError(() => hub(ID, { endpoint }), 'invalid-argument', 'http(s)', endpoint);
  });

  it('is refused for a password in its address, which is not shown', async () => {
    const endpoint = 'https://me:secret@host.test';
    await expectError(() => hub(ID, { endpoint }), 'invalid-argument', 'hub.endpoint', 'host.test');
    expect(() => hub(ID, { endpoint })).not.toThrow(/secret/);
  });

  it('that refuses a file is distinguished from one that fails', async () => {
    server.status = 403;
    const error: unknown = await text(ID, 'config.json').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'unavailable', cause: { status: 403 } });
    expect((error as Error).cause).toBeInstanceOf(Refused);
  });
});

describe('a token', () => {
  it.each(['hf_x', ' hf_x ', 'hf_x\n', 'hf_x\r\n', 'Bearer hf_x', 'bearer  hf_x\n', '"hf_x"', '\uFEFFhf_x'])(
    'is taken as %j',
    async (token) => {
      server.token = 'hf_x';
      expect(await text(ID, 'config.json', { token })).toBe('config.json');
      process.env.HF_TOKEN = token;
      expect(await text(ID, 'weights')).toHaveLength(LARGE.length);
    },
  );

  it('may be one of a mirror', async () => {
    server.token = 'eyJ.a-b_c+/=';
    expect(await text(ID, 'config.json', { token: 'eyJ.a-b_c+/=' })).toBe('config.json');
  });

  it.each(['a b', 'tök', 'a\tb'])('like %j is refused, and not shown', async (token) => {
    await expectError(() => hub(ID, { token }), 'invalid-argument', 'hub.token');
    process.env.HF_TOKEN = token;
    const error = await text(ID, 'config.json').catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'invalid-argument' });
    expect((error as Error).message).not.toContain(token);
  });

  it.each<[string, () => string]>([
    ['HF_TOKEN_PATH', () => join(place, 'mine')],
    ['HF_HOME', () => join(place, 'home', 'token')],
    ['XDG_CACHE_HOME', () => join(place, 'xdg', 'huggingface', 'token')],
  ])('is the stored one for %s', async (name, path) => {
    await mkdir(join(path(), '..'), { recursive: true });
    await writeFile(path(), 'hf_stored\n');
    process.env.HF_TOKEN = '';
    if (name === 'HF_TOKEN_PATH') process.env[name] = path();
    if (name === 'HF_HOME') process.env[name] = join(place, 'home');
    if (name === 'XDG_CACHE_HOME') process.env[name] = join(place, 'xdg');
    server.token = 'hf_stored';
    expect(await text(ID, 'config.json')).toBe('config.json');
    server.token = 'hf_other';
    process.env.HF_TOKEN = 'hf_other';
    expect(await text(ID, 'weights')).toHaveLength(LARGE.length);
    // Implicit tokens are disabled.
    await expectError(() => text(ID, 'a-F16.gguf', { token: '' }), 'unavailable', 'HF_TOKEN');
  });

  it('is sent to no other host', async () => {
    const cdn = await fakeHub(ID, new Map([['weights', LARGE]]), []);
    const there: (string | undefined)[] = [];
    cdn.instead = (_, __, { headers }) => {
      there.push(headers.authorization);
      return false;
    };
    server.cdn = cdn.url;
    cdn.cut = { file: 'weights', after: 100_000, times: 1 };
    try {
      expect(await text(ID, 'weights', { token: 'hf_x' })).toHaveLength(LARGE.length);
      expect(there).toEqual([undefined, undefined]);
      expect(sent.map(([, value]) => value)).toEqual(sent.map(() => 'Bearer hf_x'));
    } finally {
      await cdn.close();
    }
  });
});

describe('a file', () => {
  it('may be in folders, with any name', async () => {
    const store = hub(`hf:${ID}/sub/deep/a#b%.gguf`, { wait });
    expect(await store.list!()).toEqual(['a#b%.gguf']);
    expect(await text(`${ID}/sub/deep/a#b%.gguf`, 'a#b%.gguf')).toBe('sub/deep/a#b%.gguf');
    expect(await text(`${ID}/sub/deep/a#b%.gguf`, 'a#b%.gguf', { offline: true })).toBe('sub/deep/a#b%.gguf');
    expect(await text(`${ID}/sub/deep/a#b%.gguf`, 'config.json')).toBeUndefined();
  });

  it('of a folder is not found in the root', async () => {
    const store = hub(`${ID}/Q8_0`, { wait });
    expect([...(await store.list!())].sort()).toEqual(NAMES.slice(-3).map((name) => name.slice(5)));
    expect(await text(`${ID}/Q8_0`, 'tokenizer.json')).toBe('Q8_0/tokenizer.json');
    expect(await text(ID, 'tokenizer.json')).toBeUndefined();
    expect((await hub(ID, { wait }).list!()).every((name) => !name.includes('/'))).toBe(true);
  });

  it('in parts is listed with all its parts', async () => {
    const [first, second] = [NAMES.at(-3)!, NAMES.at(-2)!];
    expect(await hub(`${ID}/${second}`, { wait }).list!()).toEqual([first.slice(5), second.slice(5)]);
  });

  it.each([
    ['Q8_0', 'Q8_0/', ['a-Q8_0-00001-of-00002.gguf', 'a-Q8_0-00002-of-00002.gguf']],
    ['q4_k_m', '', ['a.Q4_K_M.gguf']],
    ['F16', '', ['a-F16.gguf']],
    ['bf16', '', ['a-BF16.gguf']],
  ])('is chosen by the quantisation %s', async (quantization, folder, names) => {
    const id = `hf:${ID}@main:${quantization}`;
    expect(await hub(id, { wait }).list!()).toEqual(names);
    for (const name of names) expect(await text(id, name)).toBe(folder + name);
    expect(await hub(id, { wait, offline: true }).list!()).toEqual(names);
  });

  it.each(['Q4_K', 'Q5_0', '8_0', 'a'])('is not chosen by %s', async (quantization) => {
    const error = await Promise.resolve(hub(`${ID}:${quantization}`, { wait }).list!()).catch(
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'invalid-file' });
    expect((error as Error).message).toContain('a.Q4_K_M.gguf');
    // The remedy works.
    expect(await hub(`${ID}/a.Q4_K_M.gguf`, { wait }).list!()).toEqual(['a.Q4_K_M.gguf']);
  });

  it.each([
    ['main/sub/x.gguf', 'main'],
    ['refs/pr/1/sub/x.gguf', 'refs/pr/1'],
    ['feature%2Fa/x.gguf', 'feature/a'],
    ['feature/a', 'feature/a'],
    ['v1.0:Q8_0', 'v1.0'],
  ])('is of the revision in @%s', (after, revision) => {
    expect(hub(`${ID}@${after}`, { wait }).name).toBe(`hf:${ID}@${revision}`);
  });
});
