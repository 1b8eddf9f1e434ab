/**
 * Tests the pool of workers: it gives the same bits as one thread, is started and disposed often, is killed, and runs
 * twice at once.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import {
  type Backend,
  createModel,
  isMambaError,
  type MambaError,
  type ModelConfig,
  modelConfig,
  type ParameterSource,
  type Tensor,
} from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterEach, expect, test, vi } from 'vitest';
// Workers are started from the built package.
import { type Arena, Heap, MAX_PAGES } from '../dist/memory/heap.js';
import { Program } from '../dist/program/program.js';
import { createRuntime } from '../dist/runtime.js';
import { platform } from '../dist/threads/platform.js';
import { startTeam } from '../dist/threads/team.js';
import { instantiate, loadModule } from '../dist/wasm/load.js';
import { float32, int32, uniform } from './host.ts';

const config: ModelConfig = modelConfig({ layers: 2, dModel: 96, vocabSize: 300 });

/** Any weights will do, as long as A is negative. */
const source: ParameterSource = ({ key, shape, name }) => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const [low, high] = key === 'block.A' ? [-8, -0.5] : [-0.2, 0.2];
  return { dtype: 'float32', shape, data: uniform(size, name.length * 31 + size, low, high) };
};

const prompt = [0, 1].map((row) => Array.from({ length: 67 }, (_, index) => (index * 37 + row * 11) % 300));

/** Returns the logits of a prompt of two rows, and a continuation by argmax. */
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

/** Records the workers that the backend starts, which no API gives. */
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

test('also of a scan some of whose states grow, or overflow on the way', { timeout: 0 }, async () => {
  const [length, dim, state] = [150, 200, 8];
  const delta = uniform(length * dim, 1, 0.01, 0.9);
  const u = uniform(length * dim, 2);
  for (const channel of [3, 70, 131, 199]) {
    delta[45 * dim + channel] = -2;
    for (let step = 80; step < 90; step++) u[step * dim + channel - 1] = 3e38;
  }
  const scan = async (backend: Backend) => {
    const A = float32(backend, [dim, state], uniform(dim * state, 3, -0.02, -0.001));
    const [B, C] = [4, 5].map((seed) => float32(backend, [1, length, state], uniform(length * state, seed, 0.5, 1)));
    const [inputs, steps] = [u, delta].map((values) => float32(backend, [1, length, dim], values));
    const { y, lastState } = backend.selectiveScan(inputs!, steps!, A, B!, C!);
    return [await backend.read(y), await backend.read(lastState)];
  };
  const expected = await withBackend(1, scan);
  expect(expected[1]!.filter((value) => !Number.isFinite(value)).length).toBeGreaterThan(0);
  for (const threads of [2, 3, 5]) expect(await withBackend(threads, scan)).toEqual(expected);
});

test('also of the gradients of a scan and of a convolution', { timeout: 0 }, async () => {
  const [batch, length, dim, state] = [2, 70, 300, 4];
  const tensor = (backend: Backend, shape: readonly number[], seed: number, low = -1, high = 1) =>
    float32(
      backend,
      shape,
      uniform(
        shape.reduce((a, b) => a * b, 1),
        seed,
        low,
        high,
      ),
    );
  const all = async (backend: Backend) => {
    const rows = (seed: number) => tensor(backend, [batch, length, dim], seed);
    const vector = (seed: number) => tensor(backend, [dim], seed);
    const selective = (seed: number) => tensor(backend, [batch, length, state], seed);
    const inputs = [rows(1), rows(2), tensor(backend, [dim, state], 3, -8, -0.01), selective(4), selective(5)] as const;
    const options = { D: vector(6), z: rows(7), deltaBias: vector(8), deltaSoftplus: true };
    const y = rows(9);
    const scan = backend.selectiveScanBackward(...inputs, options, { y });
    const { states } = backend.selectiveScan(...inputs, { ...options, keepStates: true });
    const kept = backend.selectiveScanBackward(...inputs, options, { y }, states);
    const read = (gradients: object) => Promise.all(Object.values(gradients).map((gradient) => backend.read(gradient)));
    expect(await read(kept)).toEqual(await read(scan));
    const conv = backend.causalConv1dBackward(rows(10), tensor(backend, [dim, 4], 11), vector(12), {}, { y: rows(13) });
    return read([...Object.values(scan), ...Object.values(conv)]);
  };
  const expected = await withBackend(1, all);
  expect(expected).toHaveLength(11);
  for (const threads of [2, 3, 5]) expect(await withBackend(threads, all)).toEqual(expected);
});

test('also of other gradients, losses and updates', { timeout: 0 }, async () => {
  const [rows, channels, outputs] = [100, 200, 130];
  const tensor = (backend: Backend, shape: readonly number[], seed: number) =>
    float32(
      backend,
      shape,
      uniform(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
    );
  const all = async (backend: Backend) => {
    const [x, y] = [1, 2].map((seed) => tensor(backend, [rows, channels], seed));
    const [weight, bias] = [3, 4].map((seed) => tensor(backend, [channels], seed));
    const ids = int32(
      backend,
      [rows],
      Array.from({ length: rows }, (_, index) => (index * 37) % 90),
    );
    const matrix = backend.upload(
      { dtype: 'float32', shape: [outputs, channels], data: uniform(outputs * channels, 5) },
      { role: 'matrix' },
    );
    const [parameter, first, second] = [6, 7, 8].map((seed) => tensor(backend, [rows, channels], seed));
    const norm = backend.gradientNorm([x!, y!]);
    backend.adamw(parameter!, x!, { first: first!, second: second! }, { learningRate: 0.1, step: 2, norm, maxNorm: 1 });
    const results = [
      ...[norm, parameter!, first!],
      ...Object.values(backend.linearBackward(x!, matrix, bias130(backend), tensor(backend, [rows, outputs], 9))),
      ...Object.values(backend.rmsNormBackward(x!, { weight }, y!)),
      ...Object.values(backend.layerNormBackward(x!, { weight, bias }, y!)),
      ...Object.values(backend.multiplyBackward(x!, y, { activation: 'gelu' }, y!)),
      backend.embeddingBackward(tensor(backend, [90, channels], 10), ids, y!),
      backend.crossEntropy(x!, ids, { labelSmoothing: 0.1 }),
      backend.crossEntropyBackward(x!, ids, { labelSmoothing: 0.1 }, tensor(backend, [rows], 11)),
    ];
    return Promise.all(results.map((result) => backend.read(result as Tensor)));
  };
  const bias130 = (backend: Backend) => tensor(backend, [outputs], 12);
  const expected = await withBackend(1, all);
  expect(expected).toHaveLength(16);
  for (const threads of [2, 3, 5]) expect(await withBackend(threads, all)).toEqual(expected);
});

test('thirty pools, started and disposed: no worker is left', { timeout: 0 }, async () => {
  watchWorkers();
  const exits: Promise<unknown>[] = [];
  for (let round = 0; round < 30; round++) {
    const backend = await cpu({ threads: 3 }).create();
    for (const worker of started.splice(0)) exits.push(new Promise((resolve) => worker.once('exit', resolve)));
    const x = float32(backend, [40, 64], new Float32Array(40 * 64).fill(1));
    const y = backend.linear(x, float32(backend, [96, 64], new Float32Array(96 * 64).fill(1)));
    if (round % 10 === 0) expect(new Set(await backend.read(y))).toEqual(new Set([64]));
    await backend.dispose();
  }
  expect(exits).toHaveLength(60);
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

/** A program of one command, whose task t finds the largest of `vocab` floats from `logits + 4 t vocab` on. */
function longProgram(heap: Heap, arena: Arena, tasks: number, vocab: number, logits: number): Program {
  const ids = arena.scratch(tasks * 4);
  return new Program(heap, arena, [{ operation: 'argmax', tasks, call: { logits, ids: ids.address, vocab } }]);
}

test('a worker that is killed inside a chunk fails the call that waits for it', { timeout: 0 }, async () => {
  watchWorkers();
  const module = await loadModule(undefined, 'simd', true);
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES, shared: true });
  let seen = false;
  const wasm = await instantiate(module, memory, () => {
    seen = !team.isAlive();
    return seen;
  });
  const heap = new Heap(memory, wasm.reserved());
  const team = await startTeam(platform, 2, module, heap, wasm);
  expect(team.isAlive()).toBe(true);
  const vocab = 2 ** 27;
  const logits = heap.allocate(2 * vocab * 4);
  const arena: Arena = { result: (bytes) => heap.allocate(bytes), scratch: (bytes) => heap.allocate(bytes) };
  const { address, count } = longProgram(heap, arena, 2, vocab, logits.address);
  const [done, next] = [address / 4, address / 4 + 9];
  const words = new Int32Array(memory.buffer);
  // The leader opens the program, the member takes the task of its queue and is killed there; only then does the leader
  // come and take its own.
  wasm.open(address, count, team.control);
  while (Atomics.load(words, next) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const exit = started[0]!.terminate();
  expect(Atomics.load(words, done)).toBe(0);
  expect(wasm.finish(address, count, team.control, true)).toBe(0);
  expect(seen).toBe(true);
  expect(Atomics.load(words, done)).toBe(1);
  expect(() => team.run({ address, count } as Program)).toThrow(expect.objectContaining({ code: 'device-lost' }));
  await exit;
  await team.dispose();
});

test('a kernel that traps fails the call, whichever thread it was in', { timeout: 0 }, async () => {
  const seen = new Set<string>();
  // The leader nearly always takes the first task, so the second one, which ends beyond the memory, is the worker's.
  for (let round = 0; round < 50 && !seen.has('device-lost'); round++) {
    const { heap, team, dispose } = await createRuntime({
      threads: 2,
      build: 'auto',
      revectorize: false,
      wasm: undefined,
    });
    const vocab = 2 ** 23;
    const logits = heap.allocate(vocab * 4);
    const used = heap.used;
    const run = (last: number) =>
      heap.run((arena) => team.run(longProgram(heap, arena, 1 + last, vocab, logits.address)));
    run(0);
    for (const last of [1, 0]) {
      let error: unknown;
      try {
        run(last);
      } catch (thrown) {
        error = thrown;
      }
      expect(isMambaError(error, 'device-lost') || isMambaError(error, 'device-error')).toBe(true);
      seen.add((error as MambaError).code);
      expect(heap.used).toBe(used);
    }
    await dispose();
  }
  expect(seen).toContain('device-lost');
});

test('a kernel that traps in a single thread is a bug, and says so', async () => {
  const { heap, team, dispose } = await createRuntime({
    threads: 1,
    build: 'auto',
    revectorize: false,
    wasm: undefined,
  });
  expect(() => heap.run((arena) => team.run(longProgram(heap, arena, 1, 2 ** 23, 2 ** 31)))).toThrow(
    expect.objectContaining({ code: 'device-error', remedy: expect.stringMatching(/report/) }),
  );
  await dispose();
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

test('the exported worker file does the same, from a path, an address or a URL', { timeout: 0 }, async () => {
  const url = new URL('../src/generated/worker.js', import.meta.url);
  for (const worker of [url, url.href, fileURLToPath(url)]) {
    const backend = await cpu({ threads: 2, worker }).create();
    expect(backend.description).toMatch(/, 2 threads$/);
    await backend.dispose();
  }
});

test('a worker file that does not exist leaves one thread, and the description names the option', async () => {
  const backend = await cpu({ threads: 2, worker: new URL('missing.js', import.meta.url) }).create();
  expect(backend.details.threads).toBe(1);
  expect(backend.description).toMatch(/workers could not be started: .*missing.*`worker`/);
  await backend.dispose();
});

test.each([5, {}, null])('%s is no address of a worker', (worker) => {
  expect(() => cpu({ worker: worker as unknown as string })).toThrow(
    expect.objectContaining({ code: 'invalid-argument', origin: 'cpu.worker' }),
  );
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
