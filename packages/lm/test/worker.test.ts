import type { BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bounded as plainlyBounded, watchBounds } from '../src/bounds/plain.ts';
import { loadModel, MambaError } from '../src/index.ts';
import {
  connectLanguageModels,
  serveLanguageModels,
  type WorkerConnection,
  type WorkerPort,
} from '../src/worker/index.ts';
import { PROTOCOL_VERSION } from '../src/worker/protocol.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';

const KJV = `${FIXTURES}/kjv-mamba`;

describe('a language model in a worker', () => {
  let channel: MessageChannel;
  let connection: WorkerConnection;
  let stop: () => Promise<void>;
  const serve = (providers: readonly BackendProvider[]): void => {
    channel = new MessageChannel();
    stop = serveLanguageModels(channel.port2 as WorkerPort, providers);
    connection = connectLanguageModels(channel.port1 as WorkerPort);
  };
  beforeEach(() => serve([cpu()]));
  afterEach(async () => {
    connection.close();
    await stop();
    channel.port1.close();
  });

  it('gives the same as a local one', async () => {
    const backend = await cpu().create();
    const local = await loadModel(backend, KJV);
    const loaded: number[] = [];
    const lm = await connection.load(KJV, { onProgress: (done) => loaded.push(done) });
    expect(loaded.at(-1)).toBe(loaded.length);
    expect(lm.info).toMatchObject({ fingerprint: local.fingerprint, config: local.config, hasTokenizer: true });
    const options = { prompt: 'And God said', maxTokens: 8, temperature: 0.8, seed: 3, logProbs: true, stop: ['zz'] };
    expect(await collect(lm.generate(options))).toEqual(await collect(local.generate(options)));
    expect(await collect(lm.generateBatch([options, { prompt: [4], maxTokens: 2 }]))).toEqual(
      await collect(local.generateBatch([options, { prompt: [4], maxTokens: 2 }])),
    );
    const text = 'In the beginning';
    const ids = await lm.encode(text);
    expect(ids).toEqual(local.encode(text));
    expect(await lm.decode(ids)).toBe(text);
    expect(await lm.score(text)).toEqual(await local.score(text));
    expect(await lm.perplexity(text)).toEqual(await local.perplexity(text));
    expect(await lm.hiddenStates(text)).toEqual(await local.hiddenStates(text));
    await expectError(() => lm.encodeChat([{ role: 'user', content: 'x' }]), 'unsupported', 'chat template');

    const session = await lm.createSession();
    await session.append('And God said');
    const mark = await session.mark();
    const first = await collect(session.generate({ maxTokens: 5 }));
    expect(first).toEqual(await collect(local.generate({ prompt: 'And God said', maxTokens: 5 })));
    expect(session.length).toBe(mark.length + 5);
    expect(session.marks).toEqual([mark]);
    const fork = await session.fork();
    await session.rewind(mark);
    expect([session.length, fork.length]).toEqual([mark.length, mark.length + 5]);
    for await (const _ of session.generate({ maxTokens: 5 })) break;
    expect(session.length).toBe(mark.length + 1);
    const copy = await lm.loadSession(await session.save());
    expect([copy.length, copy.bytes]).toEqual([session.length, session.bytes]);
    const here = local.loadSession(await session.save());
    expect(await collect(copy.generate({ maxTokens: 4 }))).toEqual(await collect(here.generate({ maxTokens: 4 })));
    expect(await copy.recent()).toEqual(here.recent);
    expect(here.recent).toHaveLength(here.length);
    await session.release(mark);
    expect(session.marks).toEqual([]);
    const [selection, own] = [await lm.openSelection(), await local.openSelection()];
    expect(await selection.deltas(ids)).toEqual(await own.deltas(ids));
    await selection.dispose();
    await expectError(() => selection.deltas(ids), 'disposed');
    const forgotten = await lm.openSelection();
    await fork.dispose();
    await expectError(() => fork.append('x'), 'disposed');

    await lm.dispose();
    await expectError(() => lm.encode('x'), 'disposed');
    await expectError(() => copy.append('x'), 'disposed');
    await expectError(() => forgotten.deltas(ids), 'disposed');
    expect(await connection.memory()).toMatchObject({ tensors: 0 });
    await backend.dispose();
  });

  it('computes tokens only as they are read, and frees everything when left or aborted', async () => {
    expect(await connection.memory()).toBeUndefined();
    const lm = await connection.load(KJV);
    const { tensors } = (await connection.memory())!;
    const request = { prompt: 'And God said', maxTokens: 100_000, block: 1 };
    for await (const _ of lm.generate(request)) break;
    expect((await connection.memory())!.tensors).toBe(tensors);
    const aborter = new AbortController();
    let seen = 0;
    await expectError(async () => {
      for await (const _ of lm.generate({ ...request, signal: aborter.signal })) if (++seen === 3) aborter.abort();
    }, 'aborted');
    expect(seen).toBe(3);
    const long = new Array<number>(20_000).fill(5);
    await expectError(() => lm.score(long, { signal: AbortSignal.abort() }), 'aborted');
    const later = new AbortController();
    const scoring = lm.score(long, { signal: later.signal });
    setTimeout(() => later.abort(), 20);
    await expectError(() => scoring, 'aborted');
    expect((await connection.memory())!.tensors).toBe(tensors);
  });

  it('transfers errors with all fields', async () => {
    const lm = await connection.load(KJV);
    await expectError(() => collect(lm.generate({ prompt: 'x', temperature: -1 })), 'invalid-argument', 'temperature');
    const error = await lm.encode('a\ud83c').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MambaError);
    expect(error).toMatchObject({ code: 'invalid-argument', origin: 'tokenizer.encode', given: expect.any(String) });
    await expectError(() => connection.load(`${FIXTURES}/absent`), 'invalid-file', 'absent');
    await expectError(() => connection.load({} as string), 'invalid-argument', 'location');
    const uncloneable = { prompt: 'x', stop: (() => 'x') as unknown as string };
    await expectError(() => collect(lm.generate(uncloneable)), 'invalid-argument', 'sent');
    // The connection still works.
    expect(await lm.encode('And')).toHaveLength(1);
  });

  it('reports why no backend runs, and tries again', async () => {
    connection.close();
    await stop();
    let tries = 0;
    const flaky: BackendProvider = {
      name: 'flaky',
      create: () => (tries++ === 0 ? Promise.reject(new MambaError('unavailable', 'not now')) : cpu().create()),
    };
    serve([flaky]);
    await expectError(() => connection.load(KJV), 'unavailable', 'not now');
    expect((await connection.load(KJV)).info.backend.name).toBe('cpu');
  });

  it('refuses another version, ignores other messages, and rejects pending calls when closed', async () => {
    const answer = new Promise<MessageEvent>((resolve) => {
      channel.port1.addEventListener('message', (event) => resolve(event as MessageEvent), { once: true });
    });
    for (const message of [null, 5, 'x', {}]) channel.port1.postMessage(message);
    channel.port1.postMessage({ version: PROTOCOL_VERSION + 1, id: 999, type: 'call', method: 'memory', args: [] });
    expect((await answer).data).toMatchObject({ id: 999, type: 'error', error: { code: 'unsupported' } });
    const loading = connection.load(KJV);
    const ended = expectError(() => loading, 'aborted', 'closed');
    connection.close();
    await ended;
    await expectError(() => connection.memory(), 'aborted', 'closed');
  });
});

describe('code of a checkpoint that blocks a worker', () => {
  const bounds = { origin: 'x.json', milliseconds: 20, remedy: 'Use another.' };
  const version = PROTOCOL_VERSION;
  /** A worker that sends the given messages. */
  const fake = (...answers: object[]) => {
    let listener: ((event: Event) => void) | undefined;
    let ended = 0;
    const port: WorkerPort = {
      postMessage() {
        for (const data of answers) listener?.(new MessageEvent('message', { data }));
      },
      addEventListener: (type, given) => {
        if (type === 'message') listener = given;
      },
      removeEventListener() {},
      terminate: () => ended++,
    };
    return { connection: connectLanguageModels(port), ended: () => ended };
  };

  it('is terminated with the worker, with the same error as in Node', async () => {
    const { connection, ended } = fake({ version, id: 1, type: 'begin', bounds });
    const memory = connection.memory();
    const other = connection.memory().catch((error: unknown) => error);
    await expectError(() => memory, 'invalid-file', 'x.json', 'no end after 20 ms', 'Use another.', 'start another');
    expect(await other).toBe(connection.failure);
    expect(ended()).toBe(1);
    await expectError(() => connection.memory(), 'invalid-file', 'x.json');
  });

  it('has a time limit for each call', async () => {
    const begin = { version, id: 1, type: 'begin', bounds };
    const { connection, ended } = fake(
      begin,
      { version, id: 1, type: 'end' },
      { ...begin, id: 2 },
      { ...begin, id: 3 },
      {
        ...{ version, id: 3, type: 'end' },
      },
    );
    const memory = connection.memory();
    connection.close();
    await expectError(() => memory, 'aborted');
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([ended(), connection.failure?.code]).toEqual([0, 'aborted']);
  });

  it('is announced before it begins, and when it ends', () => {
    const heard: unknown[] = [];
    const unwatch = watchBounds((given) => {
      heard.push(given);
      return () => heard.push('end');
    });
    expect(plainlyBounded(bounds, () => heard.push('work'))).toBe(2);
    expect(() =>
      plainlyBounded(bounds, () => {
        throw new RangeError('its own');
      }),
    ).toThrow('its own');
    unwatch();
    plainlyBounded(bounds, () => heard.push('unwatched'));
    expect(heard).toEqual([bounds, 'work', 'end', bounds, 'end', 'unwatched']);
  });
});
