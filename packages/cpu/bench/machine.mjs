// The machine's ceilings, measured with a module of its own: a multiply-add loop in registers, and a sum over 256 MiB.
import process from 'node:process';
import v8 from 'node:v8';
import asc from 'assemblyscript/asc';

/** Twenty sums of 128 bits, so that pairs of them fill the registers where they are revectorised; ten where not. */
const sourceOf = (fused, sums) => `
export function work(times: i32, a: f32, b: f32): f32 {
  const m = f32x4.splat(a);
  const c = f32x4.splat(b);
  ${[...Array(sums).keys()].map((i) => `let s${i} = f32x4.splat(${i + 1});`).join('\n  ')}
  for (let i = 0; i < times; i++) {
    ${[...Array(sums).keys()].map((i) => (fused ? `s${i} = f32x4.relaxed_madd(s${i}, m, c);` : `s${i} = f32x4.add(f32x4.mul(s${i}, m), c);`)).join('\n    ')}
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

/** `gflops` and `bandwidth` of one thread: the best of all calls of `measure`. */
export async function openMachine(mode) {
  let binary;
  const sums = mode === 'revectorized' ? 20 : 10;
  const fused = mode !== 'simd';
  if (mode === 'revectorized') v8.setFlagsFromString('--experimental-wasm-revectorize');
  const { error, stderr } = await asc.main(
    [
      'machine.ts',
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      ...(fused ? ['--enable', 'relaxed-simd'] : []),
      '--importMemory',
      '--outFile',
      'm.wasm',
    ],
    {
      readFile: (name) => (name === 'machine.ts' ? sourceOf(fused, sums) : null),
      writeFile: (_name, contents) => {
        binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr}`);
  const bytes = 256 * 2 ** 20;
  const memory = new WebAssembly.Memory({ initial: bytes / 65536 + 1 });
  new Float32Array(memory.buffer).fill(0.5);
  const { instance } = await WebAssembly.instantiate(binary, { env: { memory, abort() {} } });
  const { work, read } = instance.exports;
  const seconds = (run) => {
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
  const times = 1e6;
  return {
    gflops: 0,
    bandwidth: 0,
    measure() {
      this.gflops = Math.max(this.gflops, (times * sums * 8) / seconds(() => work(times, 0.5, 0.1)) / 1e9);
      this.bandwidth = Math.max(this.bandwidth, bytes / seconds(() => read(65536, bytes)) / 1e9);
    },
  };
}
