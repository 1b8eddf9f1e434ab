/** Programs are lists of commands in WebAssembly memory, where the kernels read them. Teams run them. */
import { CALL, type Calls, COMMAND_BYTES, writeCall, writeCommandHeader } from '../generated/calls.ts';
import type { Arena, Heap } from '../memory/heap.ts';

/** Runs programs; every command is complete when `run` returns. */
export interface Team {
  readonly threads: number;
  /** @throws MambaError `device-lost` where a thread died. */
  run(program: Program): void;
}

/** An operation and its call; `tasks` is the number of parts that may run side by side. */
export type Command<O extends keyof Calls = keyof Calls> = {
  readonly [K in O]: { readonly operation: K; readonly tasks: number; readonly call: Calls[K] };
}[O];

export class Program {
  readonly address: number;
  readonly count: number;

  /**
   * Writes the commands into the arena's scratch, where they are good until the arena closes. All memory that they name
   * must be allocated before.
   */
  constructor(heap: Heap, arena: Arena, commands: readonly Command[]) {
    const memory = arena.scratch(commands.length * COMMAND_BYTES);
    const words = heap.integers(memory, memory.bytes / 4);
    const floats = heap.floats(memory, memory.bytes / 4);
    for (const [index, command] of commands.entries()) write(words, floats, (index * COMMAND_BYTES) / 4, command);
    this.address = memory.address;
    this.count = commands.length;
  }
}

function write<O extends keyof Calls>(
  words: Int32Array,
  floats: Float32Array,
  at: number,
  { operation, tasks, call }: Command<O>,
): void {
  writeCommandHeader(words, floats, at, { done: 0, operation, tasks });
  writeCall[operation](words, floats, at + CALL / 4, call);
}

/** Allocates scratch for each thread: `bytes` for every one, `stride` apart. */
export function threadScratch(
  arena: Arena,
  team: Team,
  bytes: number,
): { readonly address: number; readonly stride: number } {
  const stride = Math.ceil(bytes / 128) * 128;
  return { address: arena.scratch(stride * team.threads).address, stride };
}

/** Writes the commands and runs them at once. */
export function runCommands(heap: Heap, arena: Arena, team: Team, ...commands: readonly Command[]): void {
  team.run(new Program(heap, arena, commands));
}
