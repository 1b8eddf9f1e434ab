/** The functions of a host that threads need, and the choice of this host. */
import { browserPlatform } from './browser-platform.ts';
import { builtin } from './builtin.ts';
import { nodePlatform } from './node-platform.ts';

export interface Platform {
  /** The reason why memory cannot be shared here; undefined where it can. */
  readonly sharedMemoryRefusal: string | undefined;
  /** Whether this thread may sleep: a browser's main thread may not. */
  readonly maySleep: boolean;
  /** The number of threads worth starting: one for each physical core. */
  physicalCores(): Promise<number>;
  /**
   * Starts a worker from the inlined script or a given file; resolves when it has joined its team, and rejects where it
   * cannot start. `died` is called if it ends without being told to.
   */
  startWorker(data: MemberData, file: string | URL | undefined, died: (cause: unknown) => void): Promise<Worker>;
  /** The advice for a user whose workers do not start. */
  readonly workerRemedy: string;
  /** The reason why V8's revectorisation is not available here; undefined where it is. */
  readonly revectorizeRefusal: string | undefined;
  /** Compiles a module with revectorisation, to optimised code at once. */
  compileRevectorized(bytes: BufferSource): WebAssembly.Module;
}

/** The data of a worker: `postMessage` shares or copies all of it. */
export interface MemberData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the team's control block. */
  readonly control: number;
  /** The number of the thread, from 1; the leader is 0. */
  readonly thread: number;
}

export interface Worker {
  /**
   * Whether the worker runs, known at once even while the caller's thread gets no events; true where a host cannot
   * tell.
   */
  isAlive(): boolean;
  /** Stops the worker; resolves when it is gone. */
  terminate(): Promise<void>;
}

export const platform: Platform = builtin === undefined ? browserPlatform() : nodePlatform(builtin);
