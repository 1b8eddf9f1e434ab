import { MambaError } from '@mamba/core';
import { invalid } from '@mamba/core/driver';
import { KERNEL_NAMES, type KernelExports } from '../generated/exports.ts';
import { builtin } from '../threads/builtin.ts';
import type { WasmBytes, WasmSource } from './source.ts';

/** Requires WebAssembly SIMD. @throws MambaError `unavailable` where the engine has none. */
export function requireSimd(): void {
  if (typeof WebAssembly !== 'object') {
    throw new MambaError('unavailable', 'the cpu backend needs WebAssembly, which this engine does not have', {
      origin: 'cpu',
      remedy: 'Use Node 20 or newer or a current browser; some run without WebAssembly in a lockdown or jitless mode.',
    });
  }
  if (!WebAssembly.validate(SIMD_PROBE)) {
    throw new MambaError('unavailable', 'the cpu backend needs WebAssembly SIMD, which this engine does not have', {
      origin: 'cpu',
      remedy: 'Use Node 16.4, Chrome 91, Firefox 89, Safari 16.4 or newer, on a processor with SSE4.1 or NEON.',
    });
  }
}

/** `relaxed` has fused multiply-add; Node 20 and older engines do not take it. */
export type BuildName = 'simd' | 'relaxed';

/** The build to load. @throws MambaError `unavailable` where the build that is asked for does not run here. */
export function chooseBuild(wanted: BuildName | 'auto'): BuildName {
  const runs = WebAssembly.validate(RELAXED_PROBE);
  if (wanted === 'relaxed' && !runs) {
    throw new MambaError(
      'unavailable',
      'the relaxed build of the cpu backend needs relaxed SIMD, which this engine does not have',
      {
        origin: 'cpu.build',
        remedy: "Use Node 22 or newer or a current browser, or leave the option `build` at 'auto'.",
      },
    );
  }
  return wanted === 'auto' ? (runs ? 'relaxed' : 'simd') : wanted;
}

/**
 * The module to instantiate with a memory that is shared or not. A module that was compiled before takes a shared
 * memory only.
 * @throws MambaError `invalid-argument` where the source is not a build of these kernels, `unavailable` where it cannot
 * be fetched or this engine refuses to compile it.
 */
export async function loadModule(
  source: WasmSource | undefined,
  build: BuildName,
  shared: boolean,
  compiler: Compiler = WebAssembly.compile,
): Promise<WebAssembly.Module> {
  const module =
    source instanceof WebAssembly.Module
      ? source
      : await compile(withMemory(await bytesOf(source as WasmBytes | undefined, build), shared), compiler);
  const names = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = KERNEL_NAMES.filter((name) => !names.has(name));
  if (missing.length > 0) {
    throw invalid(
      'cpu.wasm',
      `a module without ${missing.join(', ')}`,
      'the kernels of this version of @mamba/cpu',
      'Take the file from @mamba/cpu/simd.wasm or @mamba/cpu/relaxed.wasm.',
    );
  }
  return module;
}

/** Instantiates a module. A leader that waits for its team calls `memberDied` again and again. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  memberDied: () => boolean = () => false,
): Promise<KernelExports> {
  const instance = await WebAssembly.instantiate(module, {
    env: { memory, abort, memberDied: () => Number(memberDied()) },
  });
  return instance.exports as unknown as KernelExports;
}

/**
 * The builds import a shared memory. One bit of the import tells the kind of memory, and the code is the same for both,
 * so the same bytes serve where memory cannot be shared.
 */
function withMemory(source: BufferSource, shared: boolean): BufferSource {
  if (shared) return source;
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source).slice();
  const flags = memoryFlags(bytes);
  if (flags !== undefined) bytes[flags] = bytes[flags]! & ~SHARED;
  return bytes;
}

const SHARED = 2;
const IMPORT_SECTION = 2;
const MEMORY = 2;

/** The place of the imported memory's flags; undefined where the first import that is no function is no memory. */
function memoryFlags(bytes: Uint8Array): number | undefined {
  let at = 8;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; at < bytes.length; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  const skip = (): void => {
    const length = next();
    at += length;
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    if (section !== IMPORT_SECTION) {
      skip();
      continue;
    }
    next(); // the section's size
    for (let count = next(); count > 0; count--) {
      skip(); // of the module
      skip(); // of the field
      const kind = bytes[at++];
      if (kind === MEMORY) return at;
      if (kind !== 0) return undefined;
      next();
    }
    return undefined;
  }
  return undefined;
}

/** A module of one function that returns a v128. */
const SIMD_PROBE = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 8, 1, 6, 0, 0x41, 0, 0xfd, 0x0f, 0x0b,
]);

/** A module of one function that uses a relaxed swizzle. */
const RELAXED_PROBE = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 15, 1, 13, 0, 0x41, 1, 0xfd, 0x0f, 0x41,
  2, 0xfd, 0x0f, 0xfd, 0x80, 2, 0x0b,
]);

/** AssemblyScript imports this function; the kernels assert nothing. */
function abort(): never {
  throw new MambaError('device-error', 'a kernel of the cpu backend aborted', { origin: 'cpu' });
}

export type Compiler = (bytes: BufferSource) => WebAssembly.Module | Promise<WebAssembly.Module>;

async function compile(bytes: BufferSource, compiler: Compiler): Promise<WebAssembly.Module> {
  try {
    return await compiler(bytes);
  } catch (cause) {
    throw new MambaError('unavailable', 'the kernels of the cpu backend do not compile here', {
      origin: 'cpu.wasm',
      given: cause instanceof Error ? cause.message : String(cause),
      expected: 'a build of the kernels of @mamba/cpu, and a host that compiles WebAssembly as it runs',
      remedy:
        "In a page, allow 'wasm-unsafe-eval' in its Content-Security-Policy. Where code is compiled only as it is deployed (Cloudflare's workers), " +
        'import @mamba/cpu/relaxed.wasm, and give the module as the option `wasm`.',
      cause,
    });
  }
}

async function bytesOf(source: WasmBytes | undefined, build: BuildName): Promise<BufferSource> {
  if (source === undefined) return fromBase64(await inlined(build));
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source as BufferSource;
  if (typeof source === 'string' || source instanceof URL) return fetchBytes(source);
  throw invalid('cpu.wasm', Object.prototype.toString.call(source), 'bytes, a URL, or a WebAssembly.Module');
}

/** The inlined bytes of a build; each build has a file of its own, which is loaded only where it is used. */
async function inlined(build: BuildName): Promise<string> {
  try {
    if (build === 'relaxed') return (await import('../generated/relaxed.ts')).relaxed;
    return (await import('../generated/simd.ts')).simd;
  } catch (cause) {
    throw new MambaError('unavailable', 'the kernels of the cpu backend cannot be loaded', {
      origin: 'cpu.wasm',
      given: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the connection, and that the whole build is on the server.',
      cause,
    });
  }
}

async function fetchBytes(url: string | URL): Promise<BufferSource> {
  try {
    if (String(url).startsWith('file:')) {
      // Neither Node's fetch nor a browser's takes file URLs.
      if (builtin === undefined) throw new Error('this host reads no files');
      return new Uint8Array(await builtin('node:fs/promises').readFile(new URL(url)));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return await response.arrayBuffer();
  } catch (cause) {
    throw new MambaError('unavailable', `the kernels of the cpu backend cannot be had from ${url}`, {
      origin: 'cpu.wasm',
      given: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the URL, or leave the option `wasm` out: the kernels are inlined in the package.',
      cause,
    });
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
