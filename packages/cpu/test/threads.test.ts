/** The pool of workers: same bits as one thread, started and disposed often, killed, and two at once. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import {
  type Backend,
  blockConfig,
  createModel,
  isMambaError,
  type ModelConfig,
  type ParameterSource,
} from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterEach, expect, test, vi } from 'vitest';
import { float32, uniform } from './host.ts';

const config: ModelConfig = {
  ...blockConfig(96),
  layers: 2,
  vocabSize: 300,
  normEps: 1e-5,
  tiedHead: true,
  projectionBias: false,
  convBias: true,
};

/** Any weights will do, but A is negative. */
const source: ParameterSource = ({ key, shape, name }) => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const [low, high] = key === 'block.A' ? [-8, -0.5] : [-0.2, 0.2];
  return { dtype: 'float32', shape, data: uniform(size, name.length * 31 + size, low, high) };
};

const prompt = [0, 1].map((row) => Array.from({ length: 67 }, (_, index) => (index * 37 + row * 11) % 300));

/** Logits of a prompt of two rows, and a continuation by argmax. */
async function results(backend: Backend, weights: 'float32' | 'float16' | 'q8' | 'q4' = 'float32') {
  const model = await createModel(backend, config, source, { weights });
  const { logits, state } = model.forward(prompt, { logits: 'all' });
  const decoded = model.decode([[1], [2]], state, { count: 5, donateState: true });
  const values = [await backend.read(logits!), await backend.read(decoded.ids)];
  logits!.dispose();
  decoded.ids.dispose();
  decoded.state.dispose();
  model.dispose();
  return values;
}

const started: Worker[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  started.length = 0;
});

/** Keeps hold of the workers that the backend starts, as nobody else can. */
function watchWorkers(): void {
  const unref = Worker.prototype.unref;
  vi.spyOn(Worker.prototype, 'unref').mockImplementation(function (this: Worker) {
    started.push(this);
    unref.call(this);
  });
}

test('any number of threads gives the same bits', { timeout: 0 }, async () => {
  for (const weights of ['float32', 'float16', 'q8', 'q4'] as const) {
    const expected = await withBackend(1, (backend) => results(backend, weights));
    for (const threads of [2, 3, 5]) {
      expect(await withBackend(threads, (backend) => results(backend, weights))).toEqual(expected);
    }
  }
});

test('a hundred pools, started and disposed: no worker is left', { timeout: 0 }, async () => {
  watchWorkers();
  const exits: Promise<unknown>[] = [];
  for (let round = 0; round < 100; round++) {
    const backend = await cpu({ threads: 3 }).create();
    for (const worker of started.splice(0)) exits.push(new Promise((resolve) => worker.once('exit', resolve)));
    const x = float32(backend, [40, 64], new Float32Array(40 * 64).fill(1));
    const y = backend.linear(x, float32(backend, [96, 64], new Float32Array(96 * 64).fill(1)));
    if (round % 10 === 0) expect(new Set(await backend.read(y))).toEqual(new Set([64]));
    await backend.dispose();
  }
  expect(exits).toHaveLength(200);
  await Promise.all(exits);
});

test('a worker that dies fails the calls after it with device-lost; dispose still works', { timeout: 0 }, async () => {
  watchWorkers();
  const backend = await cpu({ threads: 3 }).create();
  expect(started).toHaveLength(2);
  const [x, weight] = [
    float32(backend, [40, 64], uniform(40 * 64, 1)),
    float32(backend, [96, 64], uniform(96 * 64, 2)),
  ];
  backend.linear(x, weight).dispose();
  const before = backend.memory();
  await started[0]!.terminate();
  let error: unknown;
  try {
    backend.linear(x, weight);
  } catch (thrown) {
    error = thrown;
  }
  expect(isMambaError(error, 'device-lost') && error.remedy).toMatch(/create another/);
  expect(backend.memory().bytes).toBe(before.bytes);
  await backend.dispose();
});

test('two models at once, each on threads of its own', { timeout: 0 }, async () => {
  const expected = await withBackend(1, results);
  const backends = await Promise.all([cpu({ threads: 2 }).create(), cpu({ threads: 2 }).create()]);
  for (let round = 0; round < 5; round++) {
    for (const values of await Promise.all(backends.map((backend) => results(backend))))
      expect(values).toEqual(expected);
  }
  await Promise.all(backends.map((backend) => backend.dispose()));
});

test('workers keep no process alive', { timeout: 0 }, async () => {
  const script = `
    const { cpu } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
    const backend = await cpu({ threads: 2 }).create();
    console.log(backend.details.threads);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout.trim()).toBe('2');
});

async function withBackend<R>(threads: number, use: (backend: Backend) => Promise<R>): Promise<R> {
  const backend = await cpu({ threads }).create();
  expect(backend.details.threads).toBe(threads);
  try {
    return await use(backend);
  } finally {
    await backend.dispose();
  }
}
