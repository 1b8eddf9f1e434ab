/** Servers that share a store: sessions, states of prompts, limits, and what happens where one of them ends. */
import { readFileSync } from 'node:fs';
import { type Backend, decodeSnapshot, encodeSnapshot, MambaError } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type LanguageModel, loadModel } from '../src/index.ts';
import {
  connectRedis,
  type LanguageModelServer,
  MemoryStore,
  type ServeOptions,
  type Store,
  serve,
} from '../src/server/index.ts';
import { RateLimiter } from '../src/server/limits.ts';
import { NO_METRICS } from '../src/server/metrics.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';
import { NO_REDIS, REDIS, startRedis } from './redis-server.ts';

let backend: Backend;
let lm: LanguageModel;
/** Bytes of the weights. */
let bytes: number;
const servers: LanguageModelServer[] = [];

beforeAll(async () => {
  backend = await cpu().create();
  lm = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
  bytes = backend.memory().bytes;
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  expect(backend.memory().bytes).toBe(bytes);
});
afterAll(async () => {
  lm.dispose();
  await backend.dispose();
});

async function start(options: ServeOptions = {}, model: LanguageModel | Promise<LanguageModel> = lm) {
  const server = await serve(model, { port: 0, graceMs: 0, name: 'kjv', ...options });
  servers.push(server);
  return server;
}

const GREEDY = { model: 'kjv', temperature: 0, max_tokens: 20 };

async function post(server: LanguageModelServer, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ ...GREEDY, ...body }),
  });
  return { response, body: (await response.json()) as { choices: { text: string }[]; error: { code: string } } };
}

async function complete(server: LanguageModelServer, body: object): Promise<string> {
  const { response, body: answer } = await post(server, body);
  expect(answer).toMatchObject({ choices: [{ text: expect.any(String) }] });
  expect(response.status).toBe(200);
  return answer.choices[0]!.text;
}

/** Reads a stream until it ends or fails. */
async function stream(server: LanguageModelServer, body: object, onText: (text: string) => void = () => {}) {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
  let text = '';
  const reasons: unknown[] = [];
  try {
    const chunks = await client.completions.create({ ...GREEDY, prompt: '', ...body, stream: true });
    for await (const { choices } of chunks) {
      text += choices[0]?.text ?? '';
      reasons.push(choices[0]?.finish_reason ?? null);
      onText(text);
    }
    return { text, reasons, code: undefined };
  } catch (error) {
    return { text, reasons, code: (error as { code?: string }).code };
  }
}

async function statusOf(server: LanguageModelServer, path: string, init: RequestInit = {}) {
  const response = await fetch(`${server.url}${path}`, init);
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  };
}

async function textOf(prompt: string, maxTokens: number, options: object = {}): Promise<string> {
  const pieces = await collect(lm.generate({ prompt, maxTokens, ...options }));
  return pieces.map(({ text }) => text).join('');
}

describe('a session', () => {
  it('goes on where the last request has ended, beside others in the batch', async () => {
    const server = await start({ maxRows: 4 });
    const whole = await textOf('And God said', 40);
    const others = Promise.all(
      ['In the', 'The king', 'Moses'].map((prompt) => complete(server, { prompt, max_tokens: 60 })),
    );
    const first = await complete(server, { session: 'one', prompt: 'And God said' });
    const second = await complete(server, { session: 'one', prompt: '' });
    expect(first + second).toBe(whole);
    expect(await others).toEqual(
      await Promise.all(['In the', 'The king', 'Moses'].map((prompt) => textOf(prompt, 60))),
    );
  });

  it('is what a session of the library is, over prompts, stop strings and eos', async () => {
    const server = await start();
    const own = lm.createSession();
    for (const [prompt, stop] of [
      ['And Moses said', 'the'],
      [' unto the people', ','],
      ['', '\n'],
    ] as const) {
      if (prompt !== '') await own.append(prompt);
      const pieces = await collect(own.generate({ maxTokens: 20, stop }));
      expect(await complete(server, { session: 's', prompt, stop })).toBe(pieces.map(({ text }) => text).join(''));
      const load = vi.spyOn(lm.model, 'importState');
      expect((await statusOf(server, '/v1/sessions/s')).body).toMatchObject({ id: 's', tokens: own.length });
      // What the store has of the session tells its length without its state.
      expect(load).not.toHaveBeenCalled();
      load.mockRestore();
    }
    own.dispose();
  });

  it('is not moved by others that come and go in the batch', async () => {
    const server = await start({ maxRows: 3 });
    const prompts = ['And', 'In the beginning', 'The king said unto', 'Moses', 'Thus saith the LORD of hosts,'];
    const turns = prompts.map((prompt, index) =>
      Array.from({ length: 4 }, (_, turn) => ({
        prompt: turn % 2 === 0 ? ` ${prompt}` : '',
        max_tokens: 1 + ((7 * index + 5 * turn) % 13),
        ...(turn > 1 && { stop: [' the', ','][index % 2]! }),
      })),
    );
    const written = await Promise.all(
      turns.map(async (requests, index) => {
        const texts: string[] = [];
        for (const request of requests) texts.push(await complete(server, { session: `s${index}`, ...request }));
        return texts;
      }),
    );
    for (const [index, requests] of turns.entries()) {
      const own = lm.createSession();
      for (const [turn, { prompt, max_tokens: maxTokens, stop }] of requests.entries()) {
        if (prompt !== '') await own.append(prompt);
        const pieces = await collect(own.generate({ maxTokens, ...(stop !== undefined && { stop }) }));
        expect([index, turn, written[index]![turn]]).toEqual([index, turn, pieces.map(({ text }) => text).join('')]);
      }
      expect((await statusOf(server, `/v1/sessions/s${index}`)).body).toMatchObject({ tokens: own.length });
      own.dispose();
    }
  });

  it('goes on with its random numbers, and with another seed where one is given', async () => {
    const server = await start();
    const drawn = { temperature: 0.9, top_p: 0.95, repetition_penalty: 1.1 };
    const whole = await complete(server, { session: 'a', prompt: 'And', seed: 5, max_tokens: 24, ...drawn });
    const first = await complete(server, { session: 'b', prompt: 'And', seed: 5, max_tokens: 10, ...drawn });
    const rest = await complete(server, { session: 'b', prompt: '', max_tokens: 14, ...drawn });
    expect(first + rest).toBe(whole);
    await complete(server, { session: 'c', prompt: 'And', seed: 5, max_tokens: 10, ...drawn });
    expect(first + (await complete(server, { session: 'c', prompt: '', seed: 6, max_tokens: 14, ...drawn }))).not.toBe(
      whole,
    );
  });

  it('takes one request at a time, is told about and deleted', async () => {
    const server = await start({ maxTokens: 100_000 });
    expect(await statusOf(server, '/v1/sessions/one')).toMatchObject({ status: 404 });
    const running = stream(server, { session: 'one', prompt: 'And', max_tokens: 100_000 });
    await vi.waitFor(async () => expect(server.load.running).toBe(1));
    const { response, body } = await post(server, { session: 'one', prompt: 'x' });
    expect([response.status, response.headers.get('retry-after'), body.error.code]).toEqual([409, '1', 'session_busy']);
    expect(await statusOf(server, '/v1/sessions/one', { method: 'DELETE' })).toMatchObject({ status: 409 });
    await server.close();
    await running;
    const next = await start();
    await complete(next, { session: 'two', prompt: 'And' });
    const told = await statusOf(next, '/v1/sessions/two');
    expect(told.body).toMatchObject({
      object: 'session',
      tokens: lm.encode('And').length + 20,
      bytes: expect.any(Number),
    });
    expect(await statusOf(next, '/v1/sessions/two', { method: 'DELETE' })).toMatchObject({ body: { deleted: true } });
    expect(await statusOf(next, '/v1/sessions/two', { method: 'DELETE' })).toMatchObject({ status: 404 });
  });

  it('is as it was after a request that fails', async () => {
    const store = new MemoryStore();
    const server = await start({ store, sessions: { maxBytes: 100 } });
    const refused = await post(server, { session: 'one', prompt: 'And' });
    expect([refused.response.status, refused.body.error.code]).toEqual([413, 'session_too_large']);
    expect(await statusOf(server, '/v1/sessions/one')).toMatchObject({ status: 404 });
    for (const wrong of [{ n: 2 }, { echo: true }, { prompt: ['a', 'b'] }, { session: 'a b' }, { max_tokens: 0 }]) {
      const { response } = await post(server, { session: 'one', prompt: 'And', ...wrong });
      expect([wrong, response.status]).toEqual([wrong, 400]);
    }
  });

  it('of another model is refused', async () => {
    const store = new MemoryStore();
    await complete(await start({ store }), { session: 'one', prompt: 'And' });
    const bytes = (await store.get('session:one'))!;
    const other = encodeSnapshot({ ...decodeSnapshot(bytes), fingerprint: '0123456789abcdef' });
    await store.set('session:one', other, { ttlMs: 60_000 });
    const { response, body } = await post(await start({ store }), { session: 'one', prompt: 'And' });
    expect([response.status, body.error.code]).toEqual([409, 'session_of_another_model']);
  });
});

const STORES: readonly {
  name: string;
  open: () => Promise<{ connect: () => Promise<Store>; end(): Promise<void> }>;
  skip: boolean;
}[] = [
  {
    name: 'in this process',
    open: async () => {
      const store = new MemoryStore();
      return { connect: async () => store, end: async () => {} };
    },
    skip: false,
  },
  {
    name: REDIS === undefined ? `on a server: ${NO_REDIS}` : `on ${REDIS}`,
    open: async () => {
      const server = await startRedis();
      return { connect: () => connectRedis(server.url), end: () => server.stop() };
    },
    skip: REDIS === undefined,
  },
];

for (const { name, open, skip } of STORES)
  describe.skipIf(skip)(`two servers of a store ${name}`, () => {
    it.each([
      ['the likeliest tokens', { temperature: 0 }],
      ['drawn tokens', { temperature: 0.8, seed: 3 }],
    ])('continue a session that the other interrupted as it closed, token for token: %s', async (_, sampling) => {
      const { connect, end } = await open();
      const [one, other] = [await connect(), await connect()];
      const expected = await textOf('And Moses', 400, sampling);
      const first = await start({ store: one });
      let closing: Promise<void> | undefined;
      const request = { session: 'moved', prompt: 'And Moses', max_tokens: 400, ...sampling };
      const begun = await stream(first, request, () => {
        closing ??= first.close();
      });
      await closing;
      expect(begun.code).toBe('session_saved');
      expect(new Set(begun.reasons)).toEqual(new Set([null]));
      const second = await start({ store: other });
      const { tokens } = (await statusOf(second, '/v1/sessions/moved')).body as { tokens: number };
      const given = tokens - lm.encode('And Moses').length;
      expect(given).toBeGreaterThan(0);
      expect(given).toBeLessThan(400);
      const rest = await complete(second, {
        session: 'moved',
        prompt: '',
        max_tokens: 400 - given,
        temperature: sampling.temperature,
      });
      expect(begun.text + rest).toBe(expected);
      await second.close();
      for (const store of [one, other]) await store.close();
      await end();
    });

    it('share the states of prompts', async () => {
      const { connect, end } = await open();
      const [one, other] = [await connect(), await connect()];
      const common = lm.encode('In the beginning God created the heaven and the earth. '.repeat(60)).slice(0, 600);
      const first = await start({ store: one, metrics: true });
      await complete(first, { prompt: [...common, ...lm.encode('And Moses')] });
      await first.close();
      const second = await start({ store: other, metrics: true });
      const ids = [...common, ...lm.encode('The king')];
      const text = await complete(second, { prompt: ids });
      expect(text).toBe(await textOf(lm.decode(ids), 20, { prompt: ids }));
      const counted = await (await fetch(`${second.url}/metrics`)).text();
      expect(counted).toContain('mamba_lm_prefix_fetches_total 1');
      expect(counted).toContain('mamba_lm_prefix_hits_total 1');
      await second.close();
      for (const store of [one, other]) await store.close();
      await end();
    });

    it('count requests and tokens together', async () => {
      const { connect, end } = await open();
      const store = await connect();
      let now = 30_000;
      const limits = { requestsPerMinute: 3, tokensPerMinute: 50 };
      const [a, b] = [0, 1].map(() => new RateLimiter(limits, store, NO_METRICS, () => now)) as [
        RateLimiter,
        RateLimiter,
      ];
      await a.admit('key');
      await b.admit('key');
      await a.spend('key', 50);
      await expect(b.admit('key')).rejects.toMatchObject({ status: 429, message: /50 tokens/, retryAfter: 30 });
      await expect(a.admit('key')).rejects.toMatchObject({ status: 429, message: /3 requests/ });
      await a.admit('another key');
      now += 30_000;
      await b.admit('key');
      await store.close();
      await end();
    });
  });

describe('a server whose store is down', () => {
  const down: Store = {
    ...(Object.fromEntries(
      ['get', 'set', 'extend', 'delete', 'add'].map((name) => [name, () => Promise.reject(ioError())]),
    ) as unknown as Store),
    close: async () => {},
  };

  it('goes on without sessions, and says so', async () => {
    // The limit below is that of one minute, which must not end between the requests.
    const clock = vi.spyOn(Date, 'now').mockReturnValue(30_000);
    onTestFinished(() => clock.mockRestore());
    const errors: unknown[] = [];
    const limits = { requestsPerMinute: 2 };
    const server = await start({ store: down, limits, metrics: true, onError: (error) => errors.push(error) });
    const prompt = lm.encode('In the beginning God created the heaven and the earth. '.repeat(40));
    expect(await complete(server, { prompt })).toBe(await textOf('', 20, { prompt }));
    const { response, body } = await post(server, { session: 'one', prompt: 'And' });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(body.error).toMatchObject({
      code: 'store_unavailable',
      message: expect.not.stringContaining('secret.host'),
    });
    expect(errors).toMatchObject([{ code: 'io', message: expect.stringContaining('secret.host') }]);
    // Limits are counted by this server alone.
    expect((await post(server, { prompt })).response.status).toBe(429);
    const counted = await (await fetch(`${server.url}/metrics`)).text();
    for (const use of ['session', 'prefix', 'limit']) expect(counted).toContain(`store_failures_total{use="${use}"}`);
  });
});

describe('a server that is not ready', () => {
  it('says so while its model is loaded, and takes requests afterwards', async () => {
    let loaded!: (lm: LanguageModel) => void;
    const server = await start(
      { metrics: true },
      new Promise<LanguageModel>((resolve) => {
        loaded = resolve;
      }),
    );
    expect(await statusOf(server, '/health')).toMatchObject({ status: 200 });
    expect(await statusOf(server, '/ready')).toMatchObject({ status: 503, body: { ready: false, phase: 'loading' } });
    const refused = await statusOf(server, '/v1/models');
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'loading' } } });
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('mamba_lm_ready 0');
    loaded(lm);
    await server.ready;
    expect(await statusOf(server, '/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(await complete(server, { prompt: 'And' })).toBe(await textOf('And', 20));
  });

  it('says so where its model cannot be loaded or served', async () => {
    const server = await start({}, Promise.reject(new Error('no such model')));
    await expect(server.ready).rejects.toThrow('no such model');
    expect(await statusOf(server, '/ready')).toMatchObject({ status: 503, body: { phase: 'failed' } });
    const tiny = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    await expectError(async () => (await start({}, Promise.resolve(tiny))).ready, 'unsupported', 'tokenizer');
    tiny.dispose();
  });

  it('still takes requests while a balancer notices that it is leaving', async () => {
    // Long enough for the requests on a busy machine.
    const server = await start({ noticeMs: 4000 });
    const closing = server.close();
    expect(await statusOf(server, '/ready')).toMatchObject({ status: 503, body: { phase: 'leaving' } });
    expect(await complete(server, { prompt: 'And' })).toBe(await textOf('And', 20));
    await closing;
  });

  it('refuses new requests as it closes, and finishes those that run', async () => {
    const server = await start({ graceMs: 60_000 });
    let seen: Awaited<ReturnType<typeof statusOf>>[] | undefined;
    let closing: Promise<void> | undefined;
    const running = await stream(server, { session: 's', prompt: 'And', max_tokens: 400 }, async () => {
      if (closing !== undefined) return;
      closing = server.close();
      seen = await Promise.all(['/ready', '/v1/models'].map((path) => statusOf(server, path)));
    });
    expect(running.code).toBeUndefined();
    await closing;
    expect(seen).toMatchObject([
      { status: 503, body: { phase: 'draining' } },
      { status: 503, body: { error: { code: 'draining' } } },
    ]);
    expect(seen?.[1]?.headers.get('retry-after')).toBe('1');
    expect(running.text).toBe(await textOf('And', 400));
  });
});

describe('metrics', () => {
  it('are those of the table in docs/serving.md', async () => {
    const page = readFileSync(new URL('../../../docs/serving.md', import.meta.url), 'utf8');
    const told = [...page.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram): (.+) \|$/gm)].map(
      ([, name, kind, text]) => [`mamba_lm_${name}`, kind, text],
    );
    const server = await start({ metrics: true });
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const served = [...text.matchAll(/^# HELP (\w+) (.+)\.\n# TYPE \w+ (\w+)$/gm)];
    expect(served.length).toBeGreaterThan(10);
    expect(told.map(([name, kind]) => [name, kind])).toEqual(served.map(([, name, , kind]) => [name, kind]));
    for (const [index, [, , help]] of served.entries()) expect(told[index]![2]).toContain(help);
    // The names are as Prometheus wants them: a prefix, a unit, and _total for counters alone.
    for (const [, name, , kind] of served) expect(name!.endsWith('_total')).toBe(kind === 'counter');
  });

  it('are counted, for those who have the key', async () => {
    const server = await start({ metrics: true, apiKey: 'secret' });
    const headers = { authorization: 'Bearer secret' };
    expect((await post(server, { prompt: 'And God', session: 's' }, headers)).response.status).toBe(200);
    expect((await post(server, { prompt: 'And' })).response.status).toBe(401);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
    const response = await fetch(`${server.url}/metrics`, { headers });
    expect(response.headers.get('content-type')).toContain('text/plain');
    const lines = (await response.text()).split('\n');
    for (const line of [
      'mamba_lm_requests_total{route="completions",status="200"} 1',
      'mamba_lm_requests_total{route="completions",status="401"} 1',
      `mamba_lm_prompt_tokens_total ${lm.encode('And God').length}`,
      'mamba_lm_generated_tokens_total 20',
      'mamba_lm_time_to_first_token_seconds_count 1',
      'mamba_lm_time_between_tokens_seconds_count 19',
      'mamba_lm_sessions_saved_total{interrupted="false"} 1',
      'mamba_lm_ready 1',
    ])
      expect(lines).toContain(line);
  });
});

function ioError(): MambaError {
  return new MambaError('io', 'the store at secret.host cannot be reached', { origin: 'store' });
}
