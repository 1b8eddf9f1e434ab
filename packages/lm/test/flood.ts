/** A load test: clients of every kind against a server in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { FIXTURES } from './helpers.ts';

const BIN = fileURLToPath(new URL('../bin/mamba-lm.js', import.meta.url));
const PROMPTS = [
  'And God said',
  'In the beginning',
  'Moses',
  'And it came to pass',
  'The LORD',
  'Behold',
  'For',
  'Thou',
];

export interface FloodOptions {
  readonly clients: number;
  /** Whether a client continues after so many actions. */
  readonly goesOn: (done: number) => boolean;
}

export interface FloodReport {
  /** Milliseconds from the first attempt to the end of the answer, for well-behaved clients, in ascending order. */
  readonly latencies: readonly number[];
  /** Number of answers to well-behaved clients that differ from those of a server without other clients. */
  readonly different: number;
  /** Number of answers by status; `gone` counts connections without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** MiB of the server's memory: before the load, at its peak, and idle afterwards. */
  readonly memory: { readonly before: number; readonly most: number; readonly after: number };
  readonly exitCode: number | null;
  readonly log: string;
}

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
  readonly statuses: Record<string, number>;
}

type Client = (server: Server, turn: number) => Promise<void>;

export async function flood({ clients, goesOn }: FloodOptions): Promise<FloodReport> {
  let log = '';
  const args = ['serve', `${FIXTURES}/kjv-mamba`, '-b', 'cpu', '-p', '0', '--max-waiting', '512', '--name', 'kjv'];
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => reject(new Error(log)));
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      const found = /127\.0\.0\.1:(\d+)/.exec(log)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
  });
  const server: Server = { child, port, statuses: {} };
  try {
    const alone = new Map<string, string>();
    for (const prompt of PROMPTS) alone.set(prompt, await complete(server, prompt, false));
    const latencies: number[] = [];
    let different = 0;
    const good: Client = async (_, turn) => {
      const prompt = PROMPTS[turn % PROMPTS.length]!;
      const start = performance.now();
      const text = await complete(server, prompt, turn % 2 === 0);
      latencies.push(performance.now() - start);
      if (text !== alone.get(prompt)) different++;
    };
    const before = await memoryOf(child);
    let most = before;
    const watching = setInterval(() => {
      void memoryOf(child).then((now) => {
        most = Math.max(most, now);
      });
    }, 100);
    const kinds = [good, good, good, good, slowReader, dropper, hostile, heavy];
    await Promise.all(
      Array.from({ length: clients }, async (_, index) => {
        for (let done = 0; goesOn(done); done++) await kinds[index % kinds.length]!(server, index + done);
      }),
    );
    clearInterval(watching);
    while (!(await send(server, { method: 'GET', path: '/health' })).body.includes('"running":0,"waiting":0'))
      await pause(20);
    const after = await memoryOf(child);
    child.kill('SIGTERM');
    const exitCode = await exited;
    return {
      latencies: latencies.sort((a, b) => a - b),
      ...{ different, statuses: server.statuses, memory: { before, most, after }, exitCode, log },
    };
  } finally {
    child.kill('SIGKILL');
  }
}

/** A well-behaved client, which retries after 429. */
async function complete(server: Server, prompt: string, stream: boolean): Promise<string> {
  for (;;) {
    const { status, body } = await send(server, { body: { prompt, max_tokens: 16, temperature: 0, stream } });
    if (status === 429) {
      await pause(50);
      continue;
    }
    if (status !== 200) throw new Error(`${status} ${body}`);
    if (!stream) return (JSON.parse(body) as Chunk).choices[0]!.text;
    const chunks = body.split('\n\n').filter((line) => line.startsWith('data: {'));
    return chunks.map((line) => (JSON.parse(line.slice(6)) as Chunk).choices[0]!.text).join('');
  }
}

interface Chunk {
  readonly choices: readonly { readonly text: string }[];
}

/** Reads a stream slowly. */
async function slowReader(server: Server): Promise<void> {
  const { response } = await open(server, { body: { prompt: 'And', max_tokens: 64, stream: true, logprobs: 5 } });
  for await (const _ of response ?? []) await pause(20);
}

/** Disconnects during its request or its answer. */
async function dropper(server: Server, turn: number): Promise<void> {
  if (turn % 3 === 0) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"mo',
    );
    await pause(100);
    socket.destroy();
    return;
  }
  const body = { prompt: 'And', max_tokens: 2000, stream: true, n: 1 + (turn % 4) };
  const { sent, response } = await open(server, { body });
  if (response !== undefined) await new Promise((resolve) => response.once('data', resolve).once('close', resolve));
  sent.destroy();
}

/** Sends malformed requests of many kinds. */
async function hostile(server: Server, turn: number): Promise<void> {
  const ways: (() => Promise<unknown>)[] = [
    () => send(server, { text: '{"model":'.repeat(1000) }),
    () => send(server, { text: '['.repeat(500_000) }),
    () => send(server, { body: { prompt: 'x'.repeat(3_000_000) } }),
    () => send(server, { body: { prompt: [1e9], n: 128, stop: Array(16).fill('x'.repeat(1000)) } }),
    () => send(server, { body: { prompt: 'And' }, host: 'evil.example' }),
    () => send(server, { method: 'GET', path: '/v1/models/%25%' }),
    () => garbage(server),
    () =>
      send(server, {
        body: { prompt: 'And', logit_bias: Object.fromEntries(Array.from({ length: 60_000 }, (_, id) => [id, 1])) },
      }),
  ];
  await ways[turn % ways.length]!();
}

async function garbage(server: Server): Promise<void> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`\0\0${'GET '.repeat(100)}\r\n\r\n`);
  await new Promise((resolve) => socket.resume().once('close', resolve));
}

/**
 * Sends valid but expensive requests: a very long word, a long prompt, its log-probabilities, embeddings. It may give
 * up.
 */
async function heavy(server: Server, turn: number): Promise<void> {
  const ways = [
    { body: { prompt: 'thandofheringtionent'.repeat(20_000), max_tokens: 1 } },
    { body: { prompt: Array(20_000).fill(5), max_tokens: 1 } },
    { body: { prompt: Array(2000).fill(7), max_tokens: 0, echo: true, logprobs: 2 } },
    { body: { input: ['And God said. '.repeat(50)] }, path: '/v1/embeddings' },
  ];
  const { sent, response } = await open(server, ways[turn % ways.length]!, 1500);
  response?.resume();
  if (response !== undefined) await new Promise((resolve) => response.once('close', resolve));
  sent.destroy();
}

interface Sending {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly body?: object;
  readonly text?: string;
}

async function send(server: Server, sending: Sending): Promise<{ status: number; body: string }> {
  const { response } = await open(server, sending);
  let body = '';
  for await (const piece of response ?? []) body += String(piece);
  return { status: response?.statusCode ?? 0, body };
}

/** The response; undefined if the connection or the client's patience (in ms) ended before. */
async function open(
  { port, statuses }: Server,
  { method = 'POST', path = '/v1/completions', host = 'localhost', body, text }: Sending,
  patience?: number,
): Promise<{ sent: ClientRequest; response: IncomingMessage | undefined }> {
  const headers = { 'Content-Type': 'application/json', host };
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  const timer = patience === undefined ? undefined : setTimeout(() => sent.destroy(), patience);
  const response = await new Promise<IncomingMessage | undefined>((resolve) => {
    sent.once('response', resolve);
    sent.on('error', () => resolve(undefined));
    sent.once('close', () => resolve(undefined));
    sent.end(text ?? (body && JSON.stringify({ model: 'kjv', ...body })));
  });
  clearTimeout(timer);
  response?.on('error', () => {});
  const status = String(response?.statusCode ?? 'gone');
  statuses[status] = (statuses[status] ?? 0) + 1;
  return { sent, response };
}

async function memoryOf({ pid }: ChildProcess): Promise<number> {
  // Only Linux has this file; without it there are no figures.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
