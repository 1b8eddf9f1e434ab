/** The server with OpenAI's own client. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { bytesSource, checkpointStore } from '@mamba/checkpoint';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import OpenAI, { type APIError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LanguageModel, loadModel } from '../src/index.ts';
import { type LanguageModelServer, type ServeOptions, serve } from '../src/server/index.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';

const KJV = `${FIXTURES}/kjv-mamba`;
const TEMPLATE =
  "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

let backend: Backend;
let plain: LanguageModel;
let chatty: LanguageModel;
/** Bytes of the weights. */
let bytes: number;
const servers: LanguageModelServer[] = [];

beforeAll(async () => {
  backend = await cpu().create();
  plain = await loadModel(backend, KJV);
  const folder = checkpointStore(KJV);
  chatty = await loadModel(backend, {
    name: 'somewhere/kjv-chat',
    open: async (file) =>
      file === 'chat_template.jinja' ? bytesSource(new TextEncoder().encode(TEMPLATE), file) : folder.open(file),
  });
  bytes = backend.memory().bytes;
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  expect(backend.memory().bytes).toBe(bytes);
});

afterAll(async () => {
  plain.dispose();
  chatty.dispose();
  await backend.dispose();
});

async function start(options: ServeOptions = {}, lm = plain): Promise<{ server: LanguageModelServer; client: OpenAI }> {
  const server = await serve(lm, { port: 0, graceMs: 0, ...options });
  servers.push(server);
  return { server, client: clientOf(server, options.apiKey) };
}

function clientOf(server: LanguageModelServer, apiKey = 'none'): OpenAI {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
}

async function textOf(lm: LanguageModel, prompt: string | number[], maxTokens: number): Promise<string> {
  return (await collect(lm.generate({ prompt, maxTokens }))).map(({ text }) => text).join('');
}

/** Resolves when the server is idle. */
async function idle(server: LanguageModelServer): Promise<void> {
  while (server.load.running + server.load.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function apiError(act: Promise<unknown>): Promise<APIError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof OpenAI.APIError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } });
}

describe('the server', () => {
  it('names its model', async () => {
    const { client } = await start();
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['kjv-mamba']);
    expect(await client.models.retrieve('kjv-mamba')).toMatchObject({ object: 'model', id: 'kjv-mamba' });
    expect(await apiError(client.models.retrieve('other'))).toMatchObject({ status: 404, code: 'model_not_found' });
    const { client: named } = await start({ name: 'owner/name' });
    expect(await named.models.retrieve('owner/name')).toMatchObject({ id: 'owner/name' });
  });

  it('gives the text of generate', async () => {
    const { client } = await start();
    const prompt = 'And God said';
    const made = await client.completions.create({ model: 'kjv-mamba', prompt, max_tokens: 12, temperature: 0 });
    expect(made).toMatchObject({ object: 'text_completion', model: 'kjv-mamba' });
    expect(made.choices).toMatchObject([{ index: 0, text: await textOf(plain, prompt, 12), finish_reason: 'length' }]);
    const read = plain.encode(prompt).length;
    expect(made.usage).toEqual({ prompt_tokens: read, completion_tokens: 12, total_tokens: read + 12 });
  });

  it('takes several prompts, of text or ids, and several choices, in one batch', async () => {
    const { client } = await start();
    const prompts = ['And God said', 'In the beginning God created'];
    const expected = await Promise.all(prompts.map((prompt) => textOf(plain, prompt, 6)));
    const fields = { model: 'kjv-mamba', max_tokens: 6, temperature: 0 };
    const texts = await client.completions.create({ ...fields, prompt: prompts });
    expect(texts.choices.map(({ text }) => text)).toEqual(expected);
    const ids = await client.completions.create({ ...fields, prompt: prompts.map((text) => plain.encode(text)) });
    expect(ids.choices.map(({ text }) => text)).toEqual(expected);
    const drawn = { model: 'kjv-mamba', max_tokens: 6, prompt: prompts[0]!, n: 3, seed: 7, top_p: 0.9 };
    const once = await client.completions.create(drawn);
    const again = await client.completions.create(drawn);
    expect(again.choices).toEqual(once.choices);
    expect(new Set(once.choices.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  it('streams the same text, with usage if requested', async () => {
    const { client } = await start();
    const fields = { model: 'kjv-mamba', prompt: 'And God said', max_tokens: 12, temperature: 0 };
    const stream = await client.completions.create({
      ...fields,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    const whole = await client.completions.create(fields);
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(whole.choices[0]!.text);
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('length');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('ends at stop strings, and takes every field of sampling', async () => {
    const { client } = await start();
    const text = await textOf(plain, 'And God said', 12);
    const stop = text.slice(5, 8);
    const fields = { model: 'kjv-mamba', prompt: 'And God said', max_tokens: 12, temperature: 0 };
    const stopped = await client.completions.create({ ...fields, stop });
    expect(stopped.choices).toMatchObject([{ text: text.slice(0, text.indexOf(stop)), finish_reason: 'stop' }]);
    const first = plain.encode(text)[0]!;
    const banned = await client.completions.create({
      ...{ ...fields, temperature: 0.7, presence_penalty: 0.5, frequency_penalty: 0.5, seed: 3, user: 'someone' },
      logit_bias: { [first]: -100 },
      ...{ top_k: 50, min_p: 0.01, typical_p: 0.95, repetition_penalty: 1.1 },
    });
    expect(plain.encode(banned.choices[0]!.text)[0]).not.toBe(first);
    // Filters are accepted at temperature 0.
    expect((await client.completions.create({ ...fields, top_p: 0.5 })).choices[0]!.text).toBe(text);
  });

  it('gives log-probabilities, equal to those of score', async () => {
    const { client } = await start();
    const prompt = 'And God said';
    const fields = { model: 'kjv-mamba', prompt, max_tokens: 5, temperature: 0, logprobs: 2 };
    const { choices } = await client.completions.create(fields);
    const { text, logprobs } = choices[0]!;
    const ids = (await collect(plain.generate({ prompt, maxTokens: 5 }))).flatMap(({ id }) =>
      id === undefined ? [] : [id],
    );
    const read = plain.encode(prompt);
    const score = await plain.score([...read, ...ids]);
    for (const [index, value] of logprobs!.token_logprobs!.entries())
      expect(value).toBeCloseTo(score.logProbs[read.length - 1 + index]!, 4);
    expect(logprobs!.tokens!.join('')).toBe(text);
    expect(logprobs!.text_offset![1]).toBe(logprobs!.tokens![0]!.length);
    for (const top of logprobs!.top_logprobs!) expect(Object.keys(top)).toHaveLength(2);
    const streamed = await collect(await client.completions.create({ ...fields, stream: true }));
    expect(streamed.flatMap(({ choices: [choice] }) => choice?.logprobs?.tokens ?? [])).toEqual(logprobs!.tokens);
  });

  it('chats with a template', async () => {
    const { client } = await start({}, chatty);
    const messages = [{ role: 'user' as const, content: 'Who art thou?' }];
    const prompt = chatty.encodeChat(messages);
    const fields = { model: 'kjv-chat', messages, max_completion_tokens: 10, temperature: 0 };
    const made = await client.chat.completions.create({ ...fields, logprobs: true, top_logprobs: 1 });
    const expected = await textOf(chatty, prompt, 10);
    expect(made.choices).toMatchObject([
      { message: { role: 'assistant', content: expected }, finish_reason: 'length' },
    ]);
    expect(made.usage).toMatchObject({ prompt_tokens: prompt.length, completion_tokens: 10 });
    const tokens = made.choices[0]!.logprobs!.content!;
    expect(tokens.map(({ token }) => token).join('')).toBe(expected);
    expect(tokens[0]!.top_logprobs[0]!.logprob).toBeCloseTo(tokens[0]!.logprob, 4);
    expect(tokens[0]!.bytes).toEqual([...new TextEncoder().encode(tokens[0]!.token)]);
    const parts = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Who art thou?' }] }];
    const chunks = await collect(await client.chat.completions.create({ ...fields, messages: parts, stream: true }));
    expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(expected);
    expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('length');
    // The client's helper for streams checks their form.
    const gathered = client.chat.completions.stream(fields);
    expect(await gathered.finalContent()).toBe(expected);
  });

  it('reports that there is no template', async () => {
    const { client } = await start();
    const error = await apiError(
      client.chat.completions.create({ model: 'kjv-mamba', messages: [{ role: 'user', content: 'Hello' }] }),
    );
    expect(error).toMatchObject({ status: 400, code: 'no_chat_template', type: 'invalid_request_error' });
    expect(error.message).toContain('/v1/completions');
  });

  it('runs concurrent requests in one batch, with the same results', async () => {
    const { server, client } = await start({ maxRows: 4, maxWaiting: 8 });
    const prompts = ['And God said', 'In the', 'Moses', 'And it came to pass', 'The LORD', 'Behold'];
    const expected = await Promise.all(prompts.map((prompt) => textOf(plain, prompt, 10)));
    let most = 0;
    const made = await Promise.all(
      prompts.map(async (prompt) => {
        const fields = { model: 'kjv-mamba', prompt, max_tokens: 10, temperature: 0, stream: true as const };
        let text = '';
        for await (const { choices } of await client.completions.create(fields)) {
          text += choices[0]!.text;
          most = Math.max(most, server.load.running);
        }
        return text;
      }),
    );
    expect(made).toEqual(expected);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('stops computing when the client disconnects, streamed or not', async () => {
    const { server, client } = await start({ maxTokens: 10_000_000 });
    const fields = { model: 'kjv-mamba', prompt: 'And', max_tokens: 10_000_000, logit_bias: { 0: -100 } };
    const stream = await client.completions.create({ ...fields, stream: true });
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      break;
    }
    await idle(server);
    const aborter = new AbortController();
    const whole = client.completions.create(fields, { signal: aborter.signal });
    whole.catch(() => {});
    while (server.load.running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    aborter.abort();
    await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await idle(server);
    const after = await client.completions.create({ ...fields, max_tokens: 2 });
    expect(after.usage!.completion_tokens).toBe(2);
  });

  it('refuses requests beyond the queue, and goes on', async () => {
    const { server, client } = await start({ maxRows: 1, maxWaiting: 1, maxTokens: 10_000_000 });
    const fields = { model: 'kjv-mamba', prompt: 'And', max_tokens: 10_000_000, temperature: 0, stream: true as const };
    const aborter = new AbortController();
    const held = await Promise.all([
      client.completions.create(fields, { signal: aborter.signal }),
      client.completions.create(fields, { signal: aborter.signal }),
    ]);
    expect(held).toHaveLength(2);
    const flood = await Promise.all(
      Array.from({ length: 20 }, () => apiError(client.completions.create({ ...fields, stream: false }))),
    );
    for (const error of flood) expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    expect(flood[0]!.headers!.get('retry-after')).toBe('1');
    // Only one of two choices fits, so that neither runs.
    const both = await apiError(client.completions.create({ ...fields, stream: false, n: 2, max_tokens: 1 }));
    expect(both.status).toBe(429);
    const never = await apiError(client.completions.create({ ...fields, stream: false, n: 3 }));
    expect(never).toMatchObject({ status: 400, param: 'n' });
    aborter.abort();
    await idle(server);
    // The client's retries succeed.
    const patient = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 5 });
    const made = await Promise.all(
      Array.from({ length: 4 }, () => patient.completions.create({ ...fields, stream: false, max_tokens: 3 })),
    );
    expect(new Set(made.map(({ choices }) => choices[0]!.text)).size).toBe(1);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no prompt', { prompt: undefined }, 'prompt'],
    ['a prompt of a wrong type', { prompt: 5 }, 'prompt'],
    ['half of a surrogate pair', { prompt: '\ud800' }, ''],
    ['an id beyond the vocabulary', { prompt: [1_000_000] }, ''],
    ['a count of 0', { max_tokens: 0 }, 'max_tokens'],
    ['more tokens than allowed', { max_tokens: 5000 }, 'max_tokens'],
    ['a temperature below 0', { temperature: -1 }, 'temperature'],
    ['a top_p above 1', { top_p: 2 }, 'top_p'],
    ['a bias of an unknown id', { logit_bias: { 9999999: 1 } }, ''],
    ['a bias of a word', { logit_bias: { word: 1 } }, 'logit_bias'],
    ['an unknown field', { best_off: 2 }, 'best_off'],
    ['an unsupported field', { ignore_eos: true }, 'ignore_eos'],
    ['stream options without a stream', { stream_options: {} }, 'stream_options'],
  ])('answers %s with 400, and goes on', async (_, wrong, param) => {
    const { client } = await start();
    const fields = { model: 'kjv-mamba', prompt: 'And', max_tokens: 2, ...wrong } as OpenAI.CompletionCreateParams;
    const error = await apiError(client.completions.create(fields));
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error' });
    if (param !== '') expect(error.param).toMatch(new RegExp(`^${param}`));
    expect(error.message).not.toMatch(/\n\s+at /);
    const good = await client.completions.create({ model: 'kjv-mamba', prompt: 'And', max_tokens: 1 });
    expect(good.usage!.completion_tokens).toBe(1);
  });

  it('refuses bodies that are malformed, too large, or of another type', async () => {
    const { server, client } = await start({ maxBodyBytes: 1000 });
    const url = `${server.url}/v1/completions`;
    const statuses: [number, Promise<Response>][] = [
      [400, post(url, '{"model": "kjv-mamba", ')],
      [400, post(url, '')],
      [400, post(url, '[]')],
      [400, post(url, Uint8Array.of(0x22, 0xff, 0x22))],
      [413, post(url, JSON.stringify({ model: 'kjv-mamba', prompt: 'x'.repeat(2000) }))],
      [415, post(url, '{}', { 'Content-Type': 'text/plain' })],
      [404, post(`${server.url}/v1/nothing`, '{}')],
      [404, fetch(url)],
    ];
    for (const [status, response] of statuses) {
      const { error } = (await (await response).json()) as { error: { message: string; type: string } };
      expect((await response).status, error.message).toBe(status);
      expect(error).toMatchObject({ type: 'invalid_request_error', message: expect.any(String) });
      // The server reads the rest of a body that is too large, since a client reads no answer while it cannot write.
      expect((await response).headers.get('connection')).toBe('keep-alive');
    }
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(500)) });
    const chunked = { method: 'POST', body: endless, duplex: 'half', headers: { 'Content-Type': 'application/json' } };
    // The server answers before it has read the whole body, and closes the connection.
    const outcome = await fetch(url, chunked as RequestInit).then(
      ({ status }) => status,
      () => 'closed',
    );
    expect([413, 'closed']).toContain(outcome);
    const good = await client.completions.create({ model: 'kjv-mamba', prompt: 'And', max_tokens: 1 });
    expect(good.choices).toHaveLength(1);
  });

  it('hides details of its failures, and reports none for a connection that ends within a body', async () => {
    const errors: unknown[] = [];
    const { server, client } = await start({ onError: (error) => errors.push(error) });
    const { hostname, port } = new URL(server.url);
    const head = 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    for (const rest of ['Content-Length: 99\r\n\r\n{"mod', 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"mod\r\n']) {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.write(head + rest);
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.destroy();
      await once(socket, 'close');
    }
    const fields = { model: 'kjv-mamba', prompt: 'And', max_tokens: 1 };
    await client.completions.create(fields);
    expect(errors).toEqual([]);

    vi.spyOn(plain.tokenizer!, 'encode').mockImplementationOnce(() => {
      throw new Error('a secret');
    });
    const told = await apiError(client.completions.create(fields));
    expect(told).toMatchObject({ status: 500, message: expect.not.stringContaining('secret') });
    expect(errors).toMatchObject([{ message: 'a secret' }]);
    const named = await apiError(client.completions.create({ ...fields, logit_bias: { 5000: 1 } }));
    expect(named).toMatchObject({ status: 400, param: 'logit_bias', message: expect.stringContaining('logit_bias') });
    expect(errors).toHaveLength(1);
  });

  it('requires its key', async () => {
    const { server, client } = await start({ apiKey: 'a key' });
    expect((await client.models.list()).data).toHaveLength(1);
    const wrong = await apiError(clientOf(server, 'another').models.list() as Promise<unknown>);
    expect(wrong).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect((await fetch(`${server.url}/v1/models`)).status).toBe(401);
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok', running: 0, waiting: 0 });
  });

  it('is bound to loopback, and accepts its own hosts only', async () => {
    const { server } = await start();
    const { hostname, port } = new URL(server.url);
    expect(hostname).toBe('127.0.0.1');
    const status = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sent = httpRequest({ hostname, port, path: '/v1/models', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.on('error', reject).end();
      });
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status('evil.example')).toBe(403);
  });

  it('lets running requests finish when it closes', async () => {
    const { server, client } = await start({ graceMs: 60_000 });
    const fields = { model: 'kjv-mamba', prompt: 'And God said', max_tokens: 40, temperature: 0 };
    const stream = await client.completions.create({ ...fields, stream: true });
    const closed = server.close();
    const text = (await collect(stream)).map(({ choices }) => choices[0]?.text ?? '').join('');
    await closed;
    expect(text).toBe(await textOf(plain, 'And God said', 40));
    await expect(client.models.list()).rejects.toThrow();
  });

  it('aborts requests that do not finish in time, and reports that in the stream', async () => {
    const { server, client } = await start({ maxTokens: 10_000_000 });
    const fields = { model: 'kjv-mamba', prompt: 'And', max_tokens: 10_000_000, temperature: 0, stream: true as const };
    const stream = await client.completions.create(fields);
    const closed = server.close();
    await expect(collect(stream)).rejects.toThrow(/aborted/);
    await closed;
  });

  it('refuses a taken port, a model without a tokenizer, and unknown options', async () => {
    const { server } = await start();
    const port = Number(new URL(server.url).port);
    await expectError(() => serve(plain, { port }), 'unavailable', String(port));
    await expectError(() => serve(plain, { port: 0, prot: 1 } as ServeOptions), 'invalid-argument', 'prot');
    const tiny = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    await expectError(() => serve(tiny, { port: 0 }), 'unsupported', 'tokenizer');
    tiny.dispose();
  });
});
