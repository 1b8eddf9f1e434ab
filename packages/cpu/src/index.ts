/** Public API: the CPU backend, for Node and browsers. */
import type { BackendProvider } from '@mamba/core';
import { createBackend, invalid } from '@mamba/core/driver';
import { createDriver } from './driver.ts';
import { Heap, MAX_PAGES } from './memory/heap.ts';
import { instantiate, loadModule, requireSimd, type WasmSource } from './wasm/load.ts';

export type { WasmSource };

export interface CpuOptions {
  /** The compiled kernels, `@mamba/cpu/simd.wasm`: bytes, a URL to fetch, or a compiled module. Default: inlined in the package. */
  readonly wasm?: WasmSource | undefined;
}

/**
 * The CPU backend: float32 in SIMD WebAssembly. Each `create` makes an instance with a memory of its own, which grows on demand up to 4 GiB.
 * Created backends keep nothing alive: no thread, no timer.
 * @throws MambaError `invalid-argument` on unknown options. `create` rejects with `unavailable` where the engine has no WebAssembly SIMD
 * or the kernels cannot be loaded, and with `invalid-argument` where `wasm` is something else.
 */
export function cpu(options: CpuOptions = {}): BackendProvider {
  const unknown = Object.keys(options).find((key) => key !== 'wasm');
  if (unknown !== undefined) throw invalid(`cpu.${unknown}`, 'an unknown option', 'wasm');
  return { name: 'cpu', create: () => create(options) };
}

async function create({ wasm: source }: CpuOptions) {
  requireSimd();
  const module = await loadModule(source);
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES });
  const wasm = await instantiate(module, memory);
  return createBackend(createDriver({ wasm, heap: new Heap(memory, wasm.reserved()) }));
}
