import process from 'node:process';
import { modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SUITES } from '../cases/index.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { ownCase } from '../peers/own.ts';
import { runBench } from '../run/run.ts';
import { parseReport } from '../schema/report.ts';
import { findCandidates, findPlaces } from './candidates.ts';
import type { RunnerRequest, RunnerResponse } from './messages.ts';
import { type Channel, createClient, remoteRunner } from './remote.ts';
import { localRunner } from './runner.ts';
import { createServer } from './serve.ts';

const pause = async (): Promise<void> => {};

/** A channel to a server in this process; messages are cloned on the way, as between processes. */
function channelTo(server: (request: RunnerRequest) => Promise<RunnerResponse>) {
  let respond: (response: RunnerResponse) => void = () => {};
  let end: (reason: Error) => void = () => {};
  const channel: Channel = {
    send: (request) => void server(structuredClone(request)).then((response) => respond(structuredClone(response))),
    onResponse: (listener) => {
      respond = listener;
    },
    onEnd: (listener) => {
      end = listener;
    },
    close: async () => end(new Error('closed')),
  };
  return { channel, end: (reason: Error) => end(reason) };
}

async function openRemote(backend = 'reference') {
  const { channel, end } = channelTo(createServer());
  const client = createClient(channel);
  const { record } = await client.call('open', { backend, label: backend, options: [] });
  return { client, record, end, runner: remoteRunner(client) };
}

const options = { effort: 'quick', slow: false, shapes: { length: [12], batch: [1], state: [4] } } as const;
const [benchCase] = SUITES.find(({ name }) => name === 'conv')!.cases(options);
const ref = { suite: 'conv', index: 0, options } as const;

describe('a runner in another process', () => {
  it('gives what one in this process gives', async () => {
    const { runner, record } = await openRemote();
    expect(record).toMatchObject({ status: 'ready', slow: 'float64' });
    const own = localRunner(await reference().create());
    const [there, here] = [await runner.prepare(benchCase!, ref, pause), await own.prepare(benchCase!, ref, pause)];
    expect(await there.actual()).toEqual(await here.actual());
    expect(Object.keys(there.measured)).toEqual(Object.keys(here.measured));
    const candidate = there.measured['conv/length-12']!;
    if (!('time' in candidate)) throw new Error('is not to be timed');
    expect(await candidate.time(3)).toBeGreaterThan(0);
    expect((await there.memory()).tensors).toBe((await here.memory()).tensors);
    await there.dispose();
    await runner.dispose();
    await own.dispose();
  });

  it('makes the peers’ case, and gives each token’s log-probability', async () => {
    const { runner } = await openRemote();
    const own = {
      config: modelConfig({ layers: 1, dModel: 16, vocabSize: 30 }),
      format: 'F32',
      tokens: [1, 2],
      decode: 2,
    } as const;
    const { logProbs } = await (await runner.prepare(ownCase(own), { own }, pause)).actual();
    expect(logProbs).toHaveLength(30);
    expect(Array.from(logProbs!).reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 9);
    await runner.dispose();
  });

  it('passes failures on with their code, and says why no answer comes', async () => {
    const { client, end } = await openRemote();
    await expect(client.call('open', { backend: 'none', label: '', options: [] })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('there is no backend "none"'),
    });
    await expect(client.call('actual', null)).rejects.toThrow('no case is prepared');
    const pending = client.call('actual', null);
    end(new Error('its process ended with SIGKILL'));
    await expect(pending).rejects.toThrow();
    await expect(client.call('memory', null)).rejects.toThrow('its process ended with SIGKILL');
  });

  it('stops waiting for a preparation where the run is to stop', async () => {
    const client = createClient({ send() {}, onResponse() {}, onEnd() {}, close: async () => {} });
    const stop = async (): Promise<void> => {
      throw new Error('stopped');
    };
    await expect(remoteRunner(client).prepare(benchCase!, ref, stop)).rejects.toThrow('stopped');
  });
});

describe('the modes of cpu', () => {
  it('run in processes of their own, are checked and timed in turns, and keep to their own limits', async () => {
    const modes = await findPlaces(['plain', 'relaxed', 'revectorized'], [1]);
    for (const { record } of modes) expect(record.status === 'ready' || (record.reason ?? '') !== '').toBe(true);
    const [plain] = modes;
    expect(plain!.record).toMatchObject({
      name: 'cpu-plain@1',
      status: 'ready',
      details: { build: 'simd', threads: 1 },
    });
    const suites = SUITES.filter(({ name }) => name === 'scan');
    const report = await runBench({ suites, backends: modes, effort: 'quick', shapes: { length: [64] } });
    expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    const ready = modes.filter(({ record }) => record.status === 'ready').map(({ record }) => record.name);
    expect(report.results.map(({ backend, status }) => `${backend} ${status}`)).toEqual(
      ready.map((name) => `${name} measured`),
    );
    expect(new Set(report.results.map(({ ceiling }) => ceiling?.id)).size).toBe(ready.length);
    for (const { check } of report.results) expect(check).toMatchObject({ pass: true });
  });

  it.runIf(process.platform === 'linux' && process.arch === 'x64')('run in Chromium as well', async () => {
    const places = await findPlaces(['chromium'], [2]);
    expect(places[0]!.record).toMatchObject({ name: 'cpu-chromium@2', status: 'ready', details: { build: 'relaxed' } });
    const suites = SUITES.filter(({ name }) => name === 'conv');
    const report = await runBench({ suites, backends: places, effort: 'quick', shapes: { length: [64] } });
    expect(report.results).toMatchObject([
      { status: 'measured', check: { pass: true }, ceiling: { id: expect.stringContaining('relaxed') } },
    ]);
  });

  it('report a process that dies as failed, and go on with the others', async () => {
    const [plain] = await findPlaces(['plain'], [1]);
    const dying: FoundBackend = {
      ...plain!,
      record: { ...plain!.record, name: 'dying' },
      async runner() {
        const runner = await plain!.runner!();
        return {
          ...runner,
          async prepare(...args) {
            const prepared = await runner.prepare(...args);
            await runner.dispose();
            return prepared;
          },
        };
      },
    };
    const suites = SUITES.filter(({ name }) => name === 'scan');
    const report = await runBench({ suites, backends: [dying, plain!], effort: 'quick', shapes: { length: [64] } });
    expect(report.results.map(({ backend, status }) => `${backend} ${status}`)).toEqual([
      'dying failed',
      'cpu-plain@1 measured',
    ]);
    expect(report.results[0]!.reason).toContain('SIGKILL');
  });
});

describe('a backend of native code', () => {
  /** Makes runners' processes end as a crash would, at a request of this type. */
  const crashAt = (type: string): void => {
    const code = `if (process.argv[1]?.endsWith('host-node.js')) {
      const { emit } = process;
      process.emit = function (name, ask, ...rest) {
        if (name === 'message' && ask.type === '${type}') process.kill(process.pid, 'SIGSEGV');
        return emit.call(this, name, ask, ...rest);
      };
    }`;
    vi.stubEnv('NODE_OPTIONS', `--import=data:text/javascript,${encodeURIComponent(code)}`);
  };
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('runs in a process of its own, whatever its options', async () => {
    const [webgpu, other] = await findCandidates(['webgpu', 'reference']);
    expect(webgpu!.record.status).toBe('ready');
    expect(webgpu!.provider).toBeUndefined();
    expect(other!.provider).toBeDefined();
  });

  it('that crashes as it starts is failed, and the others are there', async () => {
    crashAt('open');
    const [webgpu, other] = await findCandidates(['webgpu', 'reference']);
    expect(webgpu!.record).toMatchObject({ status: 'failed', reason: 'its process ended with SIGSEGV' });
    expect(other!.record.status).toBe('ready');
  });

  it.each(['prepare', 'actual', 'time'])(
    'that crashes when asked to %s has failed there, and the run goes on',
    async (type) => {
      crashAt(type);
      const backends = await findCandidates(['webgpu', 'reference']);
      const suites = SUITES.filter(({ name }) => name === 'conv');
      const report = await runBench({ suites, backends, effort: 'quick', shapes: { length: [16], batch: [1] } });
      const outcomes = (name: string) =>
        new Set(report.results.filter(({ backend }) => backend === name).map(({ status, reason }) => reason ?? status));
      expect(outcomes('webgpu')).toEqual(new Set(['its process ended with SIGSEGV']));
      expect(outcomes('reference')).toEqual(new Set(['measured']));
      expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    },
  );
});
