/** The laws of a store, which the one in this process and a real server keep alike. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectRedis, MemoryStore, type Store } from '../src/server/index.ts';
import { expectError } from './helpers.ts';
import { NO_REDIS, REDIS, type RedisServer, startRedis } from './redis-server.ts';

const HOUR = 3_600_000;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

let redis: RedisServer | undefined;
beforeAll(async () => {
  if (REDIS !== undefined) redis = await startRedis();
});
afterAll(() => redis?.stop());

const STORES: readonly { name: string; open: () => Promise<Store>; skip: boolean }[] = [
  { name: 'in this process', open: async () => new MemoryStore(), skip: false },
  {
    name: REDIS === undefined ? `on a server: ${NO_REDIS}` : `on ${REDIS}`,
    open: () => connectRedis(redis!.url, { prefix: 'laws:' }),
    skip: REDIS === undefined,
  },
];

for (const { name, open, skip } of STORES) {
  describe.skipIf(skip)(`a store ${name}`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store?.close());

    it('gives back every byte of a value, and nothing for other keys', async () => {
      const value = Uint8Array.from({ length: 1024 }, (_, index) => index % 256);
      expect(await store.set('value', value, { ttlMs: HOUR })).toBe(true);
      expect(await store.get('value')).toEqual(value);
      expect(await store.get('another')).toBeUndefined();
      await store.set('value', bytes(), { ttlMs: HOUR });
      expect(await store.get('value')).toEqual(bytes());
    });

    it('keeps the first value of a key that is to be absent', async () => {
      expect(await store.set('first', bytes(1), { ttlMs: HOUR, ifAbsent: true })).toBe(true);
      expect(await store.set('first', bytes(2), { ttlMs: HOUR, ifAbsent: true })).toBe(false);
      expect(await store.get('first')).toEqual(bytes(1));
    });

    it('extends and deletes by the value, so that only the owner of a lock can', async () => {
      await store.set('lock', bytes(200, 1), { ttlMs: HOUR });
      expect(await store.extend('lock', bytes(200, 2), HOUR)).toBe(false);
      expect(await store.extend('none', bytes(200, 1), HOUR)).toBe(false);
      expect(await store.extend('lock', bytes(200, 1), HOUR)).toBe(true);
      expect(await store.delete('lock', bytes(200, 2))).toBe(false);
      expect(await store.get('lock')).toEqual(bytes(200, 1));
      expect(await store.delete('lock', bytes(200, 1))).toBe(true);
      expect(await store.delete('lock')).toBe(false);
    });

    it('forgets what has lived its time, and lets another take its place', async () => {
      await store.set('short', bytes(1), { ttlMs: 1 });
      await vi.waitFor(async () => expect(await store.get('short')).toBeUndefined());
      expect(await store.set('short', bytes(2), { ttlMs: HOUR, ifAbsent: true })).toBe(true);
      await store.extend('short', bytes(2), 1);
      await vi.waitFor(async () => expect(await store.get('short')).toBeUndefined());
      await store.add('count', 5, 1);
      await vi.waitFor(async () => expect(await store.add('count', 1, 1)).toBe(1));
    });

    it('counts what many add at once', async () => {
      const sums = await Promise.all(Array.from({ length: 50 }, (_, index) => store.add('sum', index, HOUR)));
      expect(Math.max(...sums)).toBe((49 * 50) / 2);
      expect(await store.add('sum', -5, HOUR)).toBe((49 * 50) / 2 - 5);
    });
  });
}

describe('MemoryStore', () => {
  it('drops what was not used for longest when its bytes are spent', async () => {
    const store = new MemoryStore({ maxBytes: 250 });
    for (const key of ['a', 'b']) await store.set(key, new Uint8Array(100), { ttlMs: HOUR });
    await store.get('a');
    await store.set('c', new Uint8Array(100), { ttlMs: HOUR });
    expect(await store.get('b')).toBeUndefined();
    expect(await store.get('a')).toBeDefined();
    expect(store.bytes).toBe(204);
    await store.set('d', new Uint8Array(300), { ttlMs: HOUR });
    expect([await store.get('d'), store.bytes]).toEqual([undefined, 0]);
  });

  it('drops what has lived its time before anything else', async () => {
    let now = 0;
    const store = new MemoryStore({ maxBytes: 250, now: () => now });
    await store.set('long', new Uint8Array(100), { ttlMs: HOUR });
    await store.set('short', new Uint8Array(100), { ttlMs: 10 });
    now = 10;
    await store.set('new', new Uint8Array(100), { ttlMs: HOUR });
    expect(await store.get('long')).toBeDefined();
  });
});

describe('connectRedis', () => {
  it('refuses what is no address, without telling its password', async () => {
    await expectError(() => connectRedis('http://somebody:secret@host'), 'invalid-argument', '//host', 'redis://host');
    await expect(connectRedis('http://somebody:secret@host')).rejects.not.toThrow(/secret/);
    await expectError(() => connectRedis('redis://h', { timeout: 1 } as object), 'invalid-argument', 'timeout');
  });

  it('says at once that nobody listens', async () => {
    await expectError(() => connectRedis('valkey://127.0.0.1:1'), 'io', '127.0.0.1:1', 'Check its address');
  });

  it('does not wait for a server that never answers', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await vi.waitFor(() => expect(silent.listening).toBe(true));
    const { port } = silent.address() as { readonly port: number };
    await expectError(() => connectRedis(`redis://127.0.0.1:${port}`, { timeoutMs: 50 }), 'io', String(port));
    silent.close();
  }, 60_000);

  it.skipIf(REDIS === undefined)('fails at once while the server is down, and goes on when it is back', async () => {
    const first = await startRedis();
    const store = await connectRedis(first.url, { timeoutMs: 500 });
    await store.set('key', bytes(1), { ttlMs: HOUR });
    first.process.kill('SIGSTOP');
    await expectError(() => store.get('key'), 'io', 'no answer');
    await first.stop();
    await expectError(() => store.get('key'), 'io', first.url.slice('redis://'.length));
    await expectError(() => store.add('key', 1, HOUR), 'io');
    const second = await startRedis(Number(new URL(first.url).port));
    await vi.waitFor(() => store.set('key', bytes(2), { ttlMs: HOUR }), { timeout: 30_000 });
    expect(await store.get('key')).toEqual(bytes(2));
    await store.close();
    await second.stop();
  });
});
