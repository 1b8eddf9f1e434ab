/** Servers in processes of their own, behind one store: one ends, or is killed, and another goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadModel } from '../src/index.ts';
import { collect, FIXTURES } from './helpers.ts';
import { NO_REDIS, REDIS, type RedisServer, startRedis } from './redis-server.ts';

const BIN = fileURLToPath(new URL('../bin/mamba-lm.js', import.meta.url));
const KJV = `${FIXTURES}/kjv-mamba`;
const PROMPT = 'And Moses';
const TOKENS = 300;

interface Instance {
  readonly url: string;
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
}

let redis: RedisServer;
const instances: Instance[] = [];

beforeAll(async () => {
  if (REDIS !== undefined) redis = await startRedis();
});
afterAll(async () => {
  for (const { process: child } of instances) child.kill('SIGKILL');
  await redis?.stop();
});

async function startInstance(): Promise<Instance> {
  const args = [BIN, 'serve', KJV, '-p', '0', '-b', 'cpu', '--store', redis.url, '--grace', '0', '--name', 'kjv'];
  args.push('--session-lease', '6');
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  let told = '';
  for await (const text of child.stderr!) {
    told += String(text);
    const url = /(http:\S+)\/v1/.exec(told)?.[1];
    if (url === undefined) continue;
    const instance = { url, process: child, ended };
    instances.push(instance);
    return instance;
  }
  throw new Error(told);
}

async function complete({ url }: Instance, body: object): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'kjv', temperature: 0, ...body }),
  });
}

async function textOf(response: Response): Promise<string> {
  const { choices } = (await response.json()) as { choices: readonly { text: string }[] };
  return choices[0]!.text;
}

/** Reads a stream until it ends or is cut; `onFirst` is called when there is text. */
async function readStream(
  response: Response,
  onFirst: () => void,
): Promise<{ text: string; code: string | undefined }> {
  let body = '';
  let begun = false;
  try {
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      body += part;
      if (begun || !body.includes('"text"')) continue;
      begun = true;
      onFirst();
    }
  } catch {
    // The connection of a killed server.
  }
  const chunks = body.split('\n\n').flatMap((line) => (/^data: \{.*\}$/.test(line) ? [JSON.parse(line.slice(6))] : []));
  return {
    text: chunks.map(({ choices }) => choices?.[0]?.text ?? '').join(''),
    code: chunks.find(({ error }) => error !== undefined)?.error.code,
  };
}

async function tokensOf({ url }: Instance, id: string): Promise<number> {
  return ((await (await fetch(`${url}/v1/sessions/${id}`)).json()) as { tokens: number }).tokens;
}

describe.skipIf(REDIS === undefined)(`two processes ${REDIS === undefined ? NO_REDIS : `and ${REDIS}`}`, () => {
  it('lose no session in a rolling restart, and none that was saved when one is killed', async () => {
    const backend = await cpu().create();
    const lm = await loadModel(backend, KJV);
    const expected = (await collect(lm.generate({ prompt: PROMPT, maxTokens: TOKENS })))
      .map(({ text }) => text)
      .join('');
    const read = lm.encode(PROMPT).length;
    lm.dispose();
    await backend.dispose();
    const [first, second] = [await startInstance(), await startInstance()];

    // SIGTERM: the first ends by itself, with all that was given in the store.
    const begun = await readStream(
      await complete(first, { session: 'term', prompt: PROMPT, max_tokens: TOKENS, stream: true }),
      () => first.process.kill('SIGTERM'),
    );
    expect(begun.code).toBe('session_saved');
    expect(await first.ended).toBe(0);
    const given = (await tokensOf(second, 'term')) - read;
    const rest = { session: 'term', prompt: '', max_tokens: TOKENS - given };
    expect(begun.text + (await textOf(await complete(second, rest)))).toBe(expected);

    // SIGKILL: what was saved is there, and the request that ran is as if it had never been. The third server starts
    // before, so that it asks while the lease of the second still runs.
    const third = await startInstance();
    const saved = await textOf(await complete(second, { session: 'kill', prompt: PROMPT, max_tokens: 10 }));
    const cut = await readStream(
      await complete(second, { session: 'kill', prompt: '', max_tokens: 4000, stream: true }),
      () => second.process.kill('SIGKILL'),
    );
    expect(cut.code).toBeUndefined();
    expect(await second.ended).toBeNull();
    expect(await tokensOf(third, 'kill')).toBe(read + 10);
    const again = { session: 'kill', prompt: '', max_tokens: TOKENS - 10 };
    // The killed server holds the session until its lease ends.
    expect((await complete(third, again)).status).toBe(409);
    await vi.waitFor(
      async () => {
        const response = await complete(third, again);
        expect(response.status).toBe(200);
        expect(saved + (await textOf(response))).toBe(expected);
      },
      { timeout: 120_000, interval: 500 },
    );
  });
});
