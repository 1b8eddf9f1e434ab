/** What threads need of a host, and the host that this is. */
import { browserPlatform } from './browser-platform.ts';
import { builtin } from './builtin.ts';
import { nodePlatform } from './node-platform.ts';

export interface Platform {
  /** Why memory cannot be shared here; undefined where it can. */
  readonly unshared: string | undefined;
  /** Whether this thread may sleep: a browser's main thread may not. */
  readonly maySleep: boolean;
  /** Threads worth starting: one a physical core. */
  physicalCores(): Promise<number>;
  /**
   * A worker that has joined its team, from the inlined worker or the file that is given. Rejects where it cannot
   * start. `died` is called if it ends without being told to.
   */
  startWorker(data: MemberData, file: string | URL | undefined, died: (cause: unknown) => void): Promise<Worker>;
  /** What the user can do where workers do not start. */
  readonly workerRemedy: string;
  /** Why V8's revectorisation is not to be had here; undefined where it is. */
  readonly unwidened: string | undefined;
  /** Compiles with it, to optimised code at once. */
  compileRevectorized(bytes: BufferSource): WebAssembly.Module;
}

/** What a worker is given; all of it is shared or copied by `postMessage`. */
export interface MemberData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the team's control block. */
  readonly control: number;
  /** From 1; the leader is 0. */
  readonly thread: number;
}

export interface Worker {
  /** Known at once, also while the asking thread is blocked and gets no events; where a host cannot tell, true. */
  lives(): boolean;
  /** Resolves when it is gone. */
  terminate(): Promise<void>;
}

export const platform: Platform = builtin === undefined ? browserPlatform() : nodePlatform(builtin);
