/** What threads need of a host: the two implementations are chosen by the package's import `#platform`. */
import type { MemberData } from './member.ts';

export interface Platform {
  /** Why memory cannot be shared here; undefined where it can. */
  readonly unshared: string | undefined;
  /** Whether this thread may sleep: a browser's main thread may not. */
  readonly maySleep: boolean;
  /** Threads worth starting: one a physical core. */
  physicalCores(): Promise<number>;
  /** A worker that has joined its team. Rejects where it cannot start. `died` is called if it ends without being told to. */
  startWorker(data: MemberData, died: (cause: unknown) => void): Promise<Worker>;
  /** Compiles with V8's revectorisation; a reason where the engine has none. */
  compileRevectorized(compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module | string>;
}

export interface Worker {
  /** Resolves when it is gone. */
  terminate(): Promise<void>;
}
