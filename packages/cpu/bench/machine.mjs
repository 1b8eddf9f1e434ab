// The machine's ceilings in one mode, measured with a module of its own: a multiply-add loop in registers, and sums
// over 64 MiB for each thread.
import v8 from 'node:v8';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import asc from 'assemblyscript/asc';

/**
 * Twenty sums of 128 bits, so that pairs of them fill the registers where they are revectorised; ten where not. Where a
 * product and a sum are two instructions, six chains of each, four times over: in one chain a sum would wait for its
 * product, and the loop itself takes slots.
 */
const stepOf = (fused, i) => {
  if (fused) return `s${i} = f32x4.relaxed_madd(s${i}, m, c);`;
  return i % 2 === 0 ? `s${i} = f32x4.mul(s${i}, m);` : `s${i} = f32x4.add(s${i}, c);`;
};
const sourceOf = (fused, sums) => `
export function work(times: i32, a: f32, b: f32): f32 {
  const m = f32x4.splat(a);
  const c = f32x4.splat(b);
  ${[...Array(sums).keys()].map((i) => `let s${i} = f32x4.splat(${i + 1});`).join('\n  ')}
  for (let i = 0; i < times; i++) {
    ${[...Array(fused ? sums : 4 * sums).keys()].map((i) => stepOf(fused, i % sums)).join('\n    ')}
  }
  ${[...Array(sums).keys()].map((i) => `v128.store(${i * 16}, s${i});`).join('\n  ')}
  return load<f32>(0);
}
export function read(from: usize, bytes: usize): f32 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (const end = from + bytes; from < end; from += 64) {
    a = f32x4.add(a, v128.load(from));
    b = f32x4.add(b, v128.load(from, 16));
    c = f32x4.add(c, v128.load(from, 32));
    d = f32x4.add(d, v128.load(from, 48));
  }
  return f32x4.extract_lane(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), 0);
}`;

const BYTES = 64 * 2 ** 20;
const TIMES = 300_000;
/** Words of the second thread's instructions: asked, done. */
const [ASKED, DONE] = [0, 1];

async function instantiate(module) {
  const memory = new WebAssembly.Memory({ initial: BYTES / 65536 + 1 });
  new Float32Array(memory.buffer).fill(0.5);
  return (await WebAssembly.instantiate(module, { env: { memory, abort() {} } })).exports;
}

async function compile(mode) {
  let binary;
  const fused = mode !== 'plain';
  const features = fused ? ['--enable', 'relaxed-simd'] : [];
  const { error, stderr } = await asc.main(
    [
      'm.ts',
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      ...features,
      '--importMemory',
      '--outFile',
      'm.wasm',
    ],
    {
      readFile: (name) => (name === 'm.ts' ? sourceOf(fused, sumsOf(mode)) : null),
      writeFile: (_name, contents) => {
        binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr}`);
  if (mode !== 'revectorized') return WebAssembly.compile(binary);
  // The backend under test takes the flag back after its own module is compiled: so optimised code at once, none later.
  const flags = ['experimental-wasm-revectorize', 'no-liftoff', 'no-wasm-lazy-compilation'];
  for (const flag of flags) v8.setFlagsFromString(`--${flag}`);
  const module = new WebAssembly.Module(binary);
  for (const flag of ['no-experimental-wasm-revectorize', 'liftoff', 'wasm-lazy-compilation'])
    v8.setFlagsFromString(`--${flag}`);
  return module;
}

const sumsOf = (mode) => ({ plain: 12, relaxed: 10, revectorized: 20 })[mode];

/** Calls that take some milliseconds, and how much work each is. */
export async function openMachine(mode) {
  const module = await compile(mode);
  const { work, read } = await instantiate(module);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL(import.meta.url), { workerData: { module, words } });
  await new Promise((resolve) => worker.once('message', resolve));
  worker.unref();
  return {
    operations: TIMES * sumsOf(mode) * (mode === 'plain' ? 16 : 8),
    // A product alone stays normal only times 1.
    multiplyAdd: () => work(TIMES, mode === 'plain' ? 1 : 0.5, 0.1),
    bytes: BYTES,
    read: () => read(65536, BYTES),
    /** Twice the bytes, by two threads. */
    readTwice() {
      const round = Atomics.add(words, ASKED, 1) + 1;
      Atomics.notify(words, ASKED);
      read(65536, BYTES);
      for (let done = Atomics.load(words, DONE); done !== round; done = Atomics.load(words, DONE)) {
        Atomics.wait(words, DONE, done, 10);
      }
    },
    close: () => worker.terminate(),
  };
}

if (!isMainThread) {
  const { module, words } = workerData;
  const { read } = await instantiate(module);
  parentPort.postMessage('ready');
  for (let round = 0; ; round++) {
    Atomics.wait(words, ASKED, round);
    read(65536, BYTES);
    Atomics.store(words, DONE, round + 1);
    Atomics.notify(words, DONE);
  }
}
