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
  /** Why V8's revectorisation is not to be had here; undefined where it is. */
  readonly unwidened: string | undefined;
  /** Compiles with it, to optimised code at once. */
  compileRevectorized(bytes: BufferSource): WebAssembly.Module;
}

export interface Worker {
  /** Known at once, also while the asking thread is blocked and gets no events; where a host cannot tell, true. */
  lives(): boolean;
  /** Resolves when it is gone. */
  terminate(): Promise<void>;
}
