/** What a worker does, whatever its host: join the team, and work until it is told to stop. */
import { instantiate } from '../wasm/load.ts';

/** What a worker is given; all of it is shared or copied by `postMessage`. */
export interface MemberData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the team's control block. */
  readonly control: number;
  /** From 1; the leader is 0. */
  readonly thread: number;
}

/** `ready` is called once the member can work; then this blocks the worker's thread. */
export async function join({ module, memory, control, thread }: MemberData, ready: () => void): Promise<void> {
  const wasm = await instantiate(module, memory);
  ready();
  try {
    wasm.serve(control, thread);
  } catch (error) {
    // The others must not wait for what this one took.
    wasm.fail(control);
    throw error;
  }
}
