/**
 * Public API: the CPU backend, for Node and browsers.
 * @module
 */
import type { Backend, BackendProvider } from '@mamba/core';
import { checkBoolean, checkOneOf, checkOptions, createBackend, invalid } from '@mamba/core/driver';
import { createDriver } from './driver.ts';
import { createRuntime, type RuntimeOptions } from './runtime.ts';
import type { WasmSource } from './wasm/source.ts';

export type { WasmSource };

/** Options of `cpu`. */
export interface CpuOptions {
  /**
   * The number of threads, this one included. Default `auto`: one for each physical core; 1 where memory cannot be
   * shared.
   */
  readonly threads?: number | 'auto' | undefined;
  /**
   * The build: `relaxed` has fused multiply-add, `simd` runs everywhere. Default `auto`: relaxed where the engine takes
   * it.
   */
  readonly build?: 'auto' | 'simd' | 'relaxed' | undefined;
  /**
   * Whether V8 compiles the kernels to 256-bit instructions (Node 24 and newer, x86-64), which is about half as fast
   * again. V8 calls this experimental, so a self-test runs first. Where it fails, or the engine has no such compiler,
   * the backend runs without, and `details.notRevectorized` says why. Default false.
   */
  readonly revectorize?: boolean | undefined;
  /**
   * The compiled kernels, `@mamba/cpu/simd.wasm` or `relaxed.wasm`: bytes, a URL to fetch, or a compiled module.
   * Default: inlined.
   */
  readonly wasm?: WasmSource | undefined;
  /** The address of `@mamba/cpu/worker.js`, for pages whose policy forbids workers from `blob:`. Default: inlined. */
  readonly worker?: string | URL | undefined;
}

const OPTIONS = ['threads', 'build', 'revectorize', 'wasm', 'worker'];

/**
 * The CPU backend: SIMD WebAssembly that computes in float32, over one memory that grows on demand up to 4 GiB. Workers
 * are gone after `dispose`, and never keep a process alive.
 * @throws MambaError `invalid-argument` on unknown options or values. `create` rejects with `unavailable` where the
 * engine has no WebAssembly SIMD or the kernels cannot be loaded, and with `invalid-argument` where `wasm` is something
 * else.
 */
export function cpu(options: CpuOptions = {}): BackendProvider {
  checkOptions('cpu', options, OPTIONS);
  const { threads = 'auto', build = 'auto', revectorize = false, wasm, worker } = options;
  if (threads !== 'auto' && !(Number.isSafeInteger(threads) && threads >= 1 && threads <= MAX_THREADS))
    // A string is shown in quotes: '2' is not 2.
    throw invalid(
      'cpu.threads',
      typeof threads === 'string' ? JSON.stringify(threads) : String(threads),
      `an integer from 1 to ${MAX_THREADS}, or 'auto'`,
    );
  checkOneOf('cpu.build', build, ['auto', 'simd', 'relaxed']);
  checkBoolean('cpu.revectorize', revectorize);
  if (worker !== undefined && typeof worker !== 'string' && !(worker instanceof URL))
    throw invalid('cpu.worker', String(worker), 'the address of @mamba/cpu/worker.js, a string or a URL');
  return { name: 'cpu', create: () => create({ threads, build, revectorize, wasm, worker }) };
}

const MAX_THREADS = 256;

async function create(options: RuntimeOptions): Promise<Backend> {
  return createBackend(createDriver(await createRuntime(options)));
}
