/** Makes a running instance from options: build, memory, threads, and notes about them. */
import { Heap, MAX_PAGES } from './memory/heap.ts';
import type { Context } from './operations/context.ts';
import { passesSelfTest } from './self-test.ts';
import { platform } from './threads/platform.ts';
import { singleThread, startTeam, type WorkerTeam } from './threads/team.ts';
import { type BuildName, chooseBuild, instantiate, loadModule, requireSimd } from './wasm/load.ts';
import type { WasmSource } from './wasm/source.ts';

export interface RuntimeOptions {
  readonly threads: number | 'auto';
  readonly build: BuildName | 'auto';
  readonly revectorize: boolean;
  readonly wasm: WasmSource | undefined;
  readonly worker?: string | URL | undefined;
}

export interface Runtime extends Context {
  readonly build: string;
  /** Why an option was not honoured, or the backend could be faster, in words, by a name that `details` shows. */
  readonly notes: Readonly<Record<string, string | boolean>>;
  /** Bytes of the heap that the backend itself uses. */
  readonly overhead: number;
  dispose(): Promise<void>;
}

export async function createRuntime({
  threads,
  build: wanted,
  revectorize,
  wasm: source,
  worker,
}: RuntimeOptions): Promise<Runtime> {
  requireSimd();
  const build = chooseBuild(wanted);
  const notes: Record<string, string | boolean> = {};
  let count = threads === 'auto' ? await platform.physicalCores() : threads;
  if (count > 1 && platform.sharedMemoryRefusal !== undefined) {
    notes.singleThread = platform.sharedMemoryRefusal;
    count = 1;
  }
  const shared = count > 1 || source instanceof WebAssembly.Module;

  let module: WebAssembly.Module | undefined;
  if (revectorize) {
    const reason =
      platform.revectorizeRefusal ?? (source instanceof WebAssembly.Module ? 'a compiled module was given' : undefined);
    const compiled =
      reason === undefined ? await loadModule(source, build, shared, platform.compileRevectorized) : undefined;
    if (compiled !== undefined && passesSelfTest({ ...(await instance(compiled, shared)), wide: true }))
      module = compiled;
    else notes.notRevectorized = reason ?? 'the self-test failed';
  }
  const wide = module !== undefined;
  module ??= await loadModule(source, build, shared);
  let team: WorkerTeam | undefined;
  const { heap, wasm } = await instance(module, shared, () => team?.isAlive() === false);
  if (count > 1) {
    try {
      team = await startTeam(platform, count, module, heap, wasm, worker);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      notes.singleThread = `workers could not be started: ${cause}; ${platform.workerRemedy}`;
    }
  }
  return {
    heap,
    wasm,
    wide,
    team: team ?? singleThread(wasm),
    build: source === undefined ? build : 'given',
    notes,
    overhead: heap.used,
    dispose: async () => team?.dispose(),
  };
}

async function instance(module: WebAssembly.Module, shared: boolean, memberDied?: () => boolean) {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES, shared });
  const wasm = await instantiate(module, memory, memberDied);
  return { wasm, heap: new Heap(memory, wasm.reserved()), team: singleThread(wasm) };
}
