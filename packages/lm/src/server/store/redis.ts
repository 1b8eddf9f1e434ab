import { invalid, MambaError } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import type { SetOptions, Store } from './store.ts';

/** Where the keys of a store in Redis or Valkey begin, and how long its answers may take. */
export interface RedisOptions {
  /** Precedes every key, so that one server may hold several deployments. Default `mamba-lm:`. */
  readonly prefix?: string | undefined;
  /** Milliseconds that a command may take. Default 2000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Connects to Redis (6.2 or newer) or Valkey by the optional peer dependency `@redis/client`, which is imported only
 * here. A lost connection is made again in the background; until then every call fails at once.
 * @param url As `redis://user:password@host:6379/0`; `rediss:` has TLS, and `valkey:` and `valkeys:` are the same.
 * @returns a store whose calls throw MambaError `io` if the server cannot be reached or does not answer in time.
 * @throws MambaError `invalid-argument` for what is no such address, `unavailable` if the client is not installed, `io`
 * if the server cannot be reached.
 */
export async function connectRedis(url: string, options: RedisOptions = {}): Promise<Store> {
  checkOptions('connectRedis', options, ['prefix', 'timeoutMs']);
  const { prefix = 'mamba-lm:', timeoutMs = 2000 } = options;
  checkInteger('connectRedis.timeoutMs', timeoutMs, 1);
  const address = checkAddress(url);
  const { createClient, RESP_TYPES } = await importClient();
  let connected = false;
  const client = createClient({
    url: address,
    // A call while the connection is lost fails instead of waiting for it.
    disableOfflineQueue: true,
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    socket: {
      connectTimeout: timeoutMs,
      // The first connection is not tried again, so that a wrong address fails at once.
      reconnectStrategy: (retries, cause) => (connected ? Math.min(100 * 2 ** retries, LONGEST_WAIT_MS) : cause),
    },
  });
  // Without a listener, a lost connection would end the process. The calls tell their callers.
  client.on('error', () => {});
  const attempt = async <T>(act: () => Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    // The client's own limit ends when a command has been sent.
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([act(), late]);
    } catch (cause) {
      throw failed(address, cause, connected);
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    await attempt(() => client.connect());
    connected = true;
  } finally {
    if (!connected) client.destroy();
  }
  return {
    get: (key) =>
      attempt(async () => {
        const value = await client.get(prefix + key);
        return value === null ? undefined : bytesOf(value);
      }),
    set: (key, value, { ttlMs, ifAbsent = false }: SetOptions) =>
      attempt(async () => {
        const condition = ifAbsent ? ({ condition: 'NX' } as const) : {};
        const expiration = { type: 'PX', value: ttlMs } as const;
        return (await client.set(prefix + key, bufferOf(value), { expiration, ...condition })) !== null;
      }),
    extend: (key, value, ttlMs) =>
      attempt(async () => {
        const given = { keys: [prefix + key], arguments: [bufferOf(value), String(ttlMs)] };
        return (await client.eval(EXTEND, given)) === 1;
      }),
    delete: (key, value) =>
      attempt(async () => {
        if (value === undefined) return (await client.del(prefix + key)) === 1;
        return (await client.eval(DELETE, { keys: [prefix + key], arguments: [bufferOf(value)] })) === 1;
      }),
    add: (key, amount, ttlMs) =>
      attempt(async () =>
        Number(await client.eval(ADD, { keys: [prefix + key], arguments: [String(amount), String(ttlMs)] })),
      ),
    close: async () => {
      // Without a connection there is nothing to say goodbye to.
      if (client.isReady) await client.close();
      else client.destroy();
    },
  };
}

const LONGEST_WAIT_MS = 5000;

/** Each script runs as a whole, so that nothing comes between its steps. Redis and Valkey both have them. */
const EXTEND = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;
const DELETE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;
const ADD = `local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum`;

const SCHEMES: Readonly<Record<string, string>> = {
  'redis:': 'redis:',
  'rediss:': 'rediss:',
  'valkey:': 'redis:',
  'valkeys:': 'rediss:',
};

/** @returns the address by the schemes that the client knows. */
function checkAddress(url: string): string {
  const scheme = /^[a-z]+:/.exec(url)?.[0] ?? '';
  const known = SCHEMES[scheme];
  const address = `${known}${url.slice(scheme.length)}`;
  if (known !== undefined && URL.canParse(address)) return address;
  throw invalid('store', JSON.stringify(withoutPassword(url)), 'an address as "redis://host:6379" or "valkey://host"');
}

async function importClient(): Promise<typeof import('@redis/client')> {
  try {
    return await import('@redis/client');
  } catch (cause) {
    throw new MambaError('unavailable', 'the store needs a package that the library goes without', {
      origin: 'store',
      remedy: 'Run: npm install @redis/client',
      cause,
    });
  }
}

/** @param connected Whether there was a connection before. */
function failed(address: string, cause: unknown, connected: boolean): MambaError {
  const { message } = cause as Error;
  return new MambaError('io', `the store at ${withoutPassword(address)} cannot be reached: ${message}`, {
    origin: 'store',
    remedy: connected ? 'The connection is made again when it is back.' : 'Check its address, and that it runs.',
    cause,
  });
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function bytesOf(value: Buffer | string): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value);
}
