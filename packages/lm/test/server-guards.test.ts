/** The server with malformed and hostile requests, over bare sockets. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LanguageModel, loadModel } from '../src/index.ts';
import { type LanguageModelServer, type ServeOptions, serve } from '../src/server/index.ts';
import { expectError, FIXTURES } from './helpers.ts';

let backend: Backend;
let lm: LanguageModel;
const servers: LanguageModelServer[] = [];

beforeAll(async () => {
  backend = await cpu().create();
  lm = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

afterAll(async () => {
  lm.dispose();
  await backend.dispose();
});

async function start(options: ServeOptions = {}): Promise<LanguageModelServer> {
  const server = await serve(lm, { port: 0, graceMs: 0, ...options });
  servers.push(server);
  return server;
}

it('leaves the globals of its process as they are', async () => {
  const { Request: own, Response: ours } = globalThis;
  const server = await start();
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect([globalThis.Request, globalThis.Response]).toEqual([own, ours]);
});

/** Opens a connection and writes a text. */
async function dial(server: LanguageModelServer, text: string): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

/** Reads until the server closes the connection. */
async function exchange(server: LanguageModelServer, text: string): Promise<string> {
  const socket = await dial(server, text);
  let answer = '';
  for await (const piece of socket) answer += String(piece);
  return answer;
}

async function get(
  server: LanguageModelServer,
  headers: Record<string, string>,
  { method = 'GET', path = '/v1/models' } = {},
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const { hostname, port } = new URL(server.url);
  const sent = httpRequest({ hostname, port, path, method, headers, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let body = '';
  for await (const piece of response) body += String(piece);
  return { status: response.statusCode!, headers: response.headers, body };
}

const ERROR = { message: expect.any(String), type: 'invalid_request_error' };
const HEAD = 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const LONG = JSON.stringify({
  ...{ model: 'kjv-mamba', prompt: 'And', max_tokens: 4096, stream: true, n: 16, logprobs: 20 },
  logit_bias: { 0: -100 },
});

describe('close', () => {
  it.each([
    ['sends nothing', ''],
    ['sends half a header', 'POST /v1/completions HTTP/1.1\r\nHost: loc'],
    ['sends half a body', `${HEAD}Content-Length: 5000\r\n\r\n{"model"`],
    ['sends half a body in chunks', `${HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\n{"model"\r\n`],
    ['has an answer and sends half a request', 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he'],
    ['does not read', `${HEAD}Content-Length: ${LONG.length}\r\n\r\n${LONG}`],
  ])('ends although a client %s', async (_, text) => {
    const server = await start({ graceMs: 300 });
    const socket = await dial(server, text);
    socket.pause();
    if (text.includes('stream')) await vi.waitFor(() => expect(server.load.running).toBeGreaterThan(0));
    // Makes sure that the server has read the text.
    await get(server, { host: 'localhost' });
    await server.close();
    socket.destroy();
  });
});

describe('every answer has the form of an error', () => {
  it.each<[number, string, string]>([
    [400, 'no HTTP', 'what is this\r\n\r\n'],
    [400, 'no Host', 'GET /v1/models HTTP/1.1\r\n\r\n'],
    [400, 'a header that is none', 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n'],
    [400, 'two lengths', `${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    [400, 'chunks that are none', `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
    [400, 'a backslash in the path', 'GET /v1\\models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    [431, 'a head too large', `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`],
    [403, 'the Host of another', 'GET /v1/models HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'],
  ])('%i for %s', async (status, _, text) => {
    const server = await start();
    const answer = await exchange(server, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const [head, body] = answer.split('\r\n\r\n') as [string, string];
    expect(head).toMatch(/content-type: application\/json/i);
    expect((JSON.parse(/\{.*\}/s.exec(body)![0]) as { error: object }).error).toMatchObject(ERROR);
    expect((await get(server, { host: 'localhost' })).status).toBe(200);
  });

  it.each(['%25', '%', '%ff', '%E0%A4%A', '%2525', '%00', 'a%2fb'])('404 for the model %s', async (name) => {
    const server = await start();
    const { status, body } = await get(server, { host: 'localhost' }, { path: `/v1/models/${name}` });
    expect(status).toBe(404);
    expect(JSON.parse(body)).toMatchObject({ error: { ...ERROR, code: 'model_not_found' } });
  });

  it.each<[number, string, Record<string, string>]>([
    [413, '/v1/completions', { authorization: 'Bearer key' }],
    [401, '/v1/completions', {}],
    [415, '/v1/completions', { authorization: 'Bearer key', 'content-type': 'text/plain' }],
    [404, '/v1/nothing', { authorization: 'Bearer key' }],
    [403, '/v1/completions', { host: 'evil.example' }],
  ])('%i at %s for a large body, which a client writes before it reads', async (status, path, given) => {
    const server = await start({ apiKey: 'key' });
    const { hostname, port } = new URL(server.url);
    for (const framing of [{}, { 'transfer-encoding': 'chunked' }]) {
      const headers = { 'content-type': 'application/json', ...framing, ...given };
      const sent = httpRequest({ hostname, port, path, method: 'POST', headers, agent: false });
      sent.end(JSON.stringify({ model: 'kjv-mamba', prompt: 'x'.repeat(20_000_000) }));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let body = '';
      for await (const piece of response) body += String(piece);
      expect(response.statusCode).toBe(status);
      expect(JSON.parse(body)).toMatchObject({ error: ERROR });
    }
  });

  it('is logged for statuses of 500 and above', async () => {
    const errors: unknown[] = [];
    const server = await start({ onError: (error) => errors.push(error) });
    for (const [index, cause] of [
      new Error('a secret'),
      await thrown(() => lm.loadSession(new Uint8Array(3))),
    ].entries()) {
      vi.spyOn(lm.tokenizer!, 'encode').mockImplementationOnce(() => {
        throw cause;
      });
      const body = JSON.stringify({ model: 'kjv-mamba', prompt: 'And' });
      const answer = await fetch(`${server.url}/v1/completions`, {
        ...{ method: 'POST', body, headers: { 'Content-Type': 'application/json' } },
      });
      expect(answer.status).toBe(500);
      expect(errors[index]).toBe(cause);
      expect(errors).toHaveLength(index + 1);
    }
  });
});

async function thrown(act: () => unknown): Promise<unknown> {
  try {
    await act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('access', () => {
  it('is for hosts of this machine, and for allowed hosts', async () => {
    const server = await start({ allowHosts: ['model.example'] });
    for (const host of ['LOCALHOST:1', 'localhost.', 'app.localhost', '127.9.9.9', '[::ffff:127.0.0.1]:80', '::1'])
      expect((await get(server, { host })).status, host).toBe(200);
    expect((await get(server, { host: 'Model.Example:8080' })).status).toBe(200);
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '0.0.0.0',
      'user@localhost',
      'localhost, evil.example',
    ])
      expect((await get(server, { host })).status, host).toBe(403);
    await expectError(
      () => start({ allowHosts: ['model.example:80'] }),
      'invalid-argument',
      'allowHosts',
      'without a port',
    );
  });

  it('is for pages of allowed origins, errors included', async () => {
    const origin = 'https://app.example';
    const server = await start({ cors: [origin], apiKey: 'key' });
    const asked = { origin, 'access-control-request-method': 'POST', host: 'localhost' };
    const wanted = { ...asked, 'access-control-request-headers': 'authorization,content-type' };
    const preflight = await get(
      server,
      { ...wanted, 'access-control-request-private-network': 'true' },
      { method: 'OPTIONS' },
    );
    expect(preflight).toMatchObject({ status: 204, body: '' });
    expect(preflight.headers).toMatchObject({
      ...{ 'access-control-allow-origin': origin, 'access-control-allow-headers': 'authorization,content-type' },
      ...{ 'access-control-allow-methods': 'GET,POST,DELETE,OPTIONS', 'access-control-allow-private-network': 'true' },
    });
    const answers = [await get(server, { origin, authorization: 'Bearer key' }), await get(server, { origin })];
    expect(answers.map(({ status }) => status)).toEqual([200, 401]);
    for (const { headers } of answers) expect(headers['access-control-allow-origin']).toBe(origin);
    const other = await get(server, { ...wanted, origin: 'https://evil.example' }, { method: 'OPTIONS' });
    expect(other.headers).not.toHaveProperty('access-control-allow-origin');
    const closed = await get(await start(), wanted, { method: 'OPTIONS' });
    expect(closed.status).toBe(404);
    expect(closed.headers).not.toHaveProperty('access-control-allow-origin');
    const open = await get(await start({ cors: ['*'] }), { origin: 'null' });
    expect(open.headers['access-control-allow-origin']).toBe('*');
    for (const wrong of ['app.example', 'https://app.example/', 'https://App.example', 'https://app.example:443'])
      await expectError(() => start({ cors: [wrong] }), 'invalid-argument', 'cors', 'https://app.example');
  });

  it('requires a key that a header can carry', async () => {
    for (const apiKey of ['', ' ', ' key', 'key ', 'k\ney', 'schlüssel'])
      await expectError(() => start({ apiKey }), 'invalid-argument', 'apiKey');
  });
});
