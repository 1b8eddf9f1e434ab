/** The hub's cache on a disk, with other processes that write to it, and with damaged files. */
import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { ownerStamp, type Wait } from '@mamba/checkpoint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Download } from '../src/hub/cache.ts';
import { type HubOptions, hub } from '../src/hub/hub.ts';
import { openCache } from '../src/hub/node-cache.ts';
import { acquireLock } from '../src/hub/node-lock.ts';
import { expectError } from './helpers.ts';
import { type FakeHub, fakeHub, gitHash } from './hub-server.ts';

const ID = 'owner/small';
const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
const hash = gitHash(content);

let server: FakeHub;
let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'mamba-hub-disk-'));
  const files = new Map([
    ['config.json', Buffer.from('{}')],
    ['weights', content],
  ]);
  server = await fakeHub(ID, files, []);
});

afterEach(async () => {
  await server.close();
  await rm(cache, { recursive: true });
});

/** Replaces timers. */
const wait: Wait = () => breathe();
const place = (...names: string[]): string => join(cache, 'models--owner--small', ...names);
const blob = (): string => place('blobs', hash);
const deadStamp = (): string => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  return ownerStamp().replace(/-\d+-/, `-${pid}-`);
};
const downloads = (): number => server.requests.filter((request) => request.includes('/resolve/')).length;

async function same(options: HubOptions = {}, folder = cache): Promise<boolean> {
  const source = await hub(ID, { endpoint: server.url, cache: folder, token: '', wait, ...options }).open('weights');
  if (source === undefined) return false;
  try {
    return Buffer.compare(await source.read(0, source.size), content) === 0;
  } finally {
    await source.close();
  }
}

async function leftovers(): Promise<string[]> {
  const own = await readdir(place('.mamba'));
  const blobs = await readdir(place('blobs'));
  return [...own, ...blobs].filter((name) => /partial|lock|incomplete/.test(name));
}

describe('concurrent downloads', () => {
  it('share one download, in a hundred runs', async () => {
    for (let round = 0; round < 100; round++) {
      const folder = join(cache, String(round));
      server.requests.length = 0;
      server.ignoreRanges = round % 2 === 0;
      expect(await Promise.all([same({}, folder), same({}, folder), same({}, folder)])).toEqual([true, true, true]);
      expect(downloads()).toBe(1);
    }
  });

  it('continue where one gave up', async () => {
    server.cut = { file: 'weights', after: 100_000, times: 1 };
    const aborter = new AbortController();
    let others: Promise<boolean[]> | undefined;
    const stop = (): void => {
      others ??= Promise.all([same(), same()]);
      aborter.abort();
    };
    await expectError(() => same({ signal: aborter.signal, onProgress: stop }), 'aborted');
    expect(await others).toEqual([true, true]);
    expect(await leftovers()).toEqual([]);
  });

  describe('that hold the same lock', () => {
    const file = { name: 'weights', size: content.length, hash };
    const commit = 'c'.repeat(40);

    /** The second one uses another path and removes the first one's lock, so that it does not wait. */
    async function two(): Promise<[Download, Download]> {
      const first = await openCache(place(), { wait }).download(commit, file);
      await first.write(content.subarray(0, 200_000));
      await rm(place('.mamba', `${hash}.lock`));
      await symlink(place(), join(cache, 'again'));
      return [first, await openCache(join(cache, 'again'), { wait }).download(commit, file)];
    }

    it('write the same bytes at the same offsets', async () => {
      const [first, second] = await two();
      expect(second.received).toBe(200_000);
      await second.write(content.subarray(200_000));
      await first.write(content.subarray(200_000));
      await second.finish();
      await first.finish();
      expect(await same()).toBe(true);
      expect(downloads()).toBe(0);
    });

    it('do not disturb each other by restarting', async () => {
      const [first, second] = await two();
      await second.restart();
      await second.write(content.subarray(0, 1000));
      await first.write(content.subarray(200_000));
      await expectError(() => first.finish(), 'invalid-file', 'came damaged', '1000 bytes');
      await second.write(content.subarray(1000));
      await expectError(() => second.finish(), 'io', 'another process', 'Try again');
      expect(await readdir(place('blobs'))).toEqual([]);
      expect(await same()).toBe(true);
      expect(await leftovers()).toEqual([]);
    });
  });
});

describe('what ended processes left', () => {
  it('is removed, and their downloads are resumed', async () => {
    const stamp = deadStamp();
    await mkdir(place('.mamba'), { recursive: true });
    await mkdir(place('blobs'));
    await writeFile(place('.mamba', `${hash}.lock`), stamp);
    await writeFile(place('.mamba', `${'0'.repeat(40)}.lock`), stamp);
    await writeFile(place('.mamba', `.text.${stamp}.partial`), 'x');
    await writeFile(place('.mamba', `.text.${ownerStamp()}.partial`), 'of one that lives');
    await writeFile(`${blob()}.incomplete`, content.subarray(0, 123_456));
    expect(await same()).toBe(true);
    expect(server.requests.at(-1)).toMatch(/weights 123456-$/);
    expect(await leftovers()).toEqual([expect.stringContaining(`-${process.pid}-`)]);
  });

  it.each([
    ['wrong', Buffer.from(content.map((byte) => byte ^ 1)).subarray(0, 1000)],
    ['complete and wrong', Buffer.from(content.map((byte) => byte ^ 1))],
    ['too long', Buffer.concat([content, content])],
  ])('is downloaded again if it is %s', async (_, left) => {
    await mkdir(place('blobs'), { recursive: true });
    await writeFile(`${blob()}.incomplete`, left);
    expect(await same()).toBe(true);
    expect(server.requests.at(-1)).toMatch(/weights 0-$/);
    expect(await leftovers()).toEqual([]);
  });
});

describe('a lock', () => {
  it('of another host is waited for while it is touched, and then broken', async () => {
    const path = place('.mamba', 'x.lock');
    await mkdir(place('.mamba'), { recursive: true });
    await writeFile(path, 'elsewhere-1-0123456789abcdef');
    let waits = 0;
    const beating: Wait = async () => {
      waits++;
      if (waits <= 500) await utimes(path, waits, waits);
    };
    const lock = await acquireLock(path, { wait: beating });
    expect(waits).toBe(500 + 300);
    expect(await readFile(path, 'utf8')).toContain(`-${process.pid}-`);
    await lock.release();
    expect(await readdir(place('.mamba'))).toEqual([]);
  });

  it('is waited for until the wait is aborted, in this process and among processes', async () => {
    const path = place('.mamba', 'x.lock');
    const lock = await acquireLock(path);
    const aborter = new AbortController();
    const waiting = acquireLock(path, { signal: aborter.signal });
    const last = acquireLock(path);
    aborter.abort();
    await expectError(() => waiting, 'aborted', path);
    await lock.release();
    await (await last).release();
    await writeFile(path, 'elsewhere-1-0123456789abcdef');
    const again = new AbortController();
    const stop: Wait = async () => again.abort();
    await expectError(() => acquireLock(path, { signal: again.signal, wait: stop }), 'aborted', path);
  });
});

describe('a blob', () => {
  const damages: [string, () => Promise<void>][] = [
    ['has a byte changed', () => writeFile(blob(), Buffer.from(content.with(1234, content[1234]! ^ 1)))],
    ['is cut', () => writeFile(blob(), content.subarray(0, 1000))],
    ['is empty', () => writeFile(blob(), '')],
    ['is too long', () => appendFile(blob(), 'x')],
    ['is zeros', () => writeFile(blob(), new Uint8Array(content.length))],
  ];
  it.each(damages)('that %s is detected, and downloaded again', async (_, damage) => {
    expect(await same()).toBe(true);
    await damage();
    await expectError(() => same({ offline: true }), 'invalid-file', 'damaged', 'Load it once with a connection');
    expect(await same()).toBe(true);
    expect(await same({ offline: true })).toBe(true);
    expect(downloads()).toBe(2);
  });

  it('that was damaged while it was written is not kept', async () => {
    const kept = openCache(place(), { wait });
    const download = await kept.download('c'.repeat(40), { name: 'weights', size: content.length, hash });
    await download.write(content);
    await writeFile(`${blob()}.incomplete`, new Uint8Array(10), { flag: 'r+' });
    await expectError(() => download.finish(), 'invalid-file', 'came damaged');
    expect(await readdir(place('blobs'))).toEqual([]);
  });

  it('of other tools is hashed once, and again only after it changes', async () => {
    expect(await same()).toBe(true);
    await rm(place('.mamba'), { recursive: true });
    expect(await same({ offline: true })).toBe(true);
    expect(await readdir(place('.mamba'))).toEqual([`${hash}.sound`]);
  });
});
