/** Commands in WebAssembly memory, as assembly/program/commands.ts reads them, and who runs them. */
import type { Arena, Heap } from '../memory/heap.ts';

/** As `Operation` in assembly/program/commands.ts. */
const operations = {
  linear: 0,
  convolution: 1,
  scan: 2,
  embedding: 3,
  mixerNorm: 4,
  copy: 5,
  argmax: 6,
  pack: 7,
  multiply: 8,
  layerNorm: 9,
} as const;
export type Operation = keyof typeof operations;

const COMMAND_BYTES = 256;
/** Where a command's call begins, in words. */
const CALL = 16;

/** Runs programs; every command is complete when `run` returns. */
export interface Team {
  readonly threads: number;
  /** @throws MambaError `device-lost` where a thread died. */
  run(program: Program): void;
}

/** One argument of a kernel: addresses and integers are numbers, floats are marked. */
export type Argument = number | boolean | { readonly float: number };

export interface Command {
  readonly operation: Operation;
  /** Parts that may run side by side; neighbours share what they read, where any do. */
  readonly chunks: number;
  readonly call: readonly Argument[];
}

export class Program {
  readonly address: number;
  readonly count: number;

  /** Written into the arena's scratch: good until the arena closes. Nothing may be allocated later that the commands need. */
  constructor(heap: Heap, arena: Arena, commands: readonly Command[]) {
    const block = arena.scratch(commands.length * COMMAND_BYTES);
    const words = heap.integers(block, block.bytes / 4);
    const floats = heap.floats(block, block.bytes / 4);
    for (const [index, { operation, chunks, call }] of commands.entries()) {
      const at = (index * COMMAND_BYTES) / 4;
      words[at + 1] = operations[operation];
      words[at + 2] = chunks;
      for (const [place, value] of call.entries()) {
        const word = at + CALL + place;
        if (typeof value === 'object') floats[word] = value.float;
        else words[word] = Number(value);
      }
    }
    this.address = block.address;
    this.count = commands.length;
  }
}

/** What each thread writes to alone: `bytes` for every one of them. */
export function threadScratch(
  arena: Arena,
  team: Team,
  bytes: number,
): { readonly address: number; readonly stride: number } {
  const stride = Math.ceil(bytes / 128) * 128;
  return { address: arena.scratch(stride * team.threads).address, stride };
}

/** At once. */
export function runCommands(heap: Heap, arena: Arena, team: Team, ...commands: readonly Command[]): void {
  team.run(new Program(heap, arena, commands));
}
