import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import type { Command } from '../program/program.ts';
import { ELEMENT } from './context.ts';

/** Values of a task. */
const TASK = 8192;

/** Partial sums, one behind the other, and the command that adds them up in their order; none for a single one. */
export interface Sum {
  readonly parts: number;
  readonly commands: readonly Command[];
}

/** Makes memory for `count` partial sums of a result of `size` values. */
export function partialSums(arena: Arena, y: Allocation, size: number, count: number): Sum {
  if (count === 1) return { parts: y.address, commands: [] };
  const parts = arena.scratch(count * size * ELEMENT).address;
  return {
    parts,
    commands: [
      { operation: 'sum', tasks: Math.ceil(size / TASK), call: { parts, y: y.address, size, count, taskValues: TASK } },
    ],
  };
}
