/** Neither a client nor code of the checkpoint blocks the server for other clients. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { LanguageModel } from '../src/index.ts';
import { type LanguageModelServer, type ServeOptions, serve } from '../src/server/index.ts';
import { FIXTURES, loadWith } from './helpers.ts';

const KJV = readFileSync(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8');
/** A pattern that takes years for forty letters, and no time for other texts. */
const SLOW = JSON.stringify({
  ...(JSON.parse(KJV) as object),
  normalizer: { type: 'Replace', pattern: { Regex: '^(a+)+$' }, content: 'b' },
});
const TRAP = `${'a'.repeat(40)}!`;
const completion = { model: 'kjv', prompt: 'And God said', max_tokens: 4, temperature: 0 };

let lm: LanguageModel;
let server: LanguageModelServer;
let errors: unknown[];

async function start(file: string, content: string, options: ServeOptions = {}): Promise<void> {
  errors = [];
  lm = await loadWith(file, content);
  server = await serve(lm, { port: 0, graceMs: 0, name: 'kjv', onError: (error) => errors.push(error), ...options });
}

afterEach(async () => {
  await server.close();
  await lm.model.backend.dispose();
});

function post(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' };
  return fetch(`${server.url}/v1${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    signal: signal ?? null,
  });
}

/** The name of the promise that settles first. */
function race(...requests: Promise<Response>[]): Promise<number> {
  return Promise.race(
    requests.map(async (request, index) => {
      await (await request).text();
      return index;
    }),
  );
}

describe('another client is answered', () => {
  it('while a very long word is encoded', async () => {
    await start('tokenizer.json', KJV);
    const word = 'thandofheringtionent'.repeat(20_000);
    const leaving = new AbortController();
    const slow = post('/completions', { ...completion, prompt: word, max_tokens: 1 }, leaving.signal);
    slow.catch(() => {});
    // The word is in its worker by then, or waits for it.
    expect(await race(slow, post('/completions', completion))).toBe(1);
    expect(await race(slow, post('/completions', { ...completion, prompt: 'And God said. '.repeat(200) }))).toBe(1);
    // The worker is terminated with its client, and the next long text gets a new one.
    leaving.abort();
    await expect(slow).rejects.toThrow();
    const next = await post('/completions', { ...completion, prompt: 'And God said. '.repeat(2000) });
    expect(next.status).toBe(200);
    expect(errors).toEqual([]);
  });

  it('while a long prompt is read', async () => {
    await start('tokenizer.json', KJV);
    const leaving = new AbortController();
    const slow = post('/completions', { ...completion, prompt: Array(100_000).fill(5) }, leaving.signal);
    slow.catch(() => {});
    while (server.load.running === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await race(slow, post('/completions', completion))).toBe(1);
    leaving.abort();
    await expect(slow).rejects.toThrow();
  });

  it('while a pattern of the tokenizer does not end, whose client gets an error', async () => {
    await start('tokenizer.json', SLOW);
    const stream = await post('/completions', {
      ...completion,
      max_tokens: 2000,
      stream: true,
      logit_bias: { 0: -100 },
    });
    const reader = stream.body!.getReader();
    await reader.read();
    const trapped = post('/completions', { ...completion, prompt: TRAP });
    let ended = false;
    void trapped.then(() => {
      ended = true;
    });
    await reader.read();
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(ended).toBe(false);
    await reader.cancel();
    const answer = await trapped;
    expect(answer.status).toBe(500);
    expect(((await answer.json()) as { error: { message: string } }).error.message).toContain('token ids');
    expect(errors).toHaveLength(1);
    // The remedy works.
    expect((await post('/completions', { ...completion, prompt: [5, 6, 7] })).status).toBe(200);
    expect((await post('/completions', completion)).status).toBe(200);
  });

  it('while a chat template does not end, whose client gets an error', async () => {
    await start(
      'chat_template.jinja',
      '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}',
    );
    const trapped = post('/chat/completions', { model: 'kjv', messages: [{ role: 'user', content: 'Who?' }] });
    expect(
      await race(
        trapped.then((answer) => answer.clone()),
        post('/completions', completion),
      ),
    ).toBe(1);
    const answer = await trapped;
    expect(answer.status).toBe(500);
    expect(((await answer.json()) as { error: { message: string } }).error.message).toContain('as text');
    expect(errors).toHaveLength(1);
  });
});

describe('a body is refused before it blocks the server', () => {
  const most = 2 ** 20 - 256;
  const filled = (item: string): string =>
    Array(Math.floor(most / (item.length + 1)))
      .fill(item)
      .join();
  const field = (name: string, content: string): string =>
    `{"model":"kjv","prompt":"And","messages":[{"role":"user","content":"And"}],"${name}":${content}}`;
  it.each<[string, string, string]>([
    ['lists within lists', `${'['.repeat(most / 2)}${']'.repeat(most / 2)}`, 'deeper than 64'],
    ['objects within objects', field('metadata', `${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}`), 'deeper than 64'],
    ['empty texts', `{"prompt":[${filled('""')}]}`, 'more than 16384'],
    ['texts with quotes in them', `{"prompt":[${filled('"\\\\\\""')}]}`, 'more than 16384'],
    ['lists of one id', `{"prompt":[${filled('[1]')}]}`, 'more than 16384'],
    ['empty messages', `{"messages":[${filled('{}')}]}`, 'more than 16384'],
    ['nulls', field('stop', `[${filled('null')}]`), 'more than 16384'],
    ['keys', field('metadata', `{${filled('"":1')}}`), 'more than 16384'],
    ['biases', field('logit_bias', `{${filled('"1":1')}}`), 'more than 16384'],
    ['fractional ids', `{"prompt":[${filled('1.5')}]}`, 'expected a text, a list of token ids'],
    ['ids and a text', `{"prompt":[${filled('1')},"a"]}`, 'expected a text, a list of token ids'],
  ])('that holds %s', async (_, body, word) => {
    await start('tokenizer.json', KJV);
    const path = body.startsWith('{"messages"') ? 'chat/completions' : 'completions';
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(`${server.url}/v1/${path}`, { method: 'POST', headers, body });
    const { error } = (await response.json()) as { error: { message: string; type: string } };
    expect(error).toMatchObject({ type: 'invalid_request_error', message: expect.stringContaining(word) });
    expect(response.status).toBe(400);
  });
});

describe('a server closes', () => {
  it.each([
    ['a text is encoded', { ...completion, prompt: 'thandofheringtionent'.repeat(20_000) }],
    ['a prompt is scored', { ...completion, prompt: Array(100_000).fill(5), echo: true, logprobs: 1, max_tokens: 0 }],
    ['a long prompt is read', { ...completion, prompt: Array(100_000).fill(5) }],
  ])('while %s', async (_, body) => {
    await start('tokenizer.json', KJV);
    const request = post('/completions', body);
    request.catch(() => {});
    // Makes sure that the request has arrived: a later one is answered.
    await (await post('/completions', completion)).text();
    await server.close();
    await request.then(
      ({ status }) => expect(status).toBe(499),
      () => {},
    );
  });
});
