import { SQUARES_PART } from '../generated/calls.ts';
import type { Allocation } from '../memory/allocator.ts';
import { type Command, runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** Bytes of a partial sum, a float64. */
const PART_BYTES = 8;

export function gradientNorm({ heap, team }: Context, { gradients, sizes }: Call<'gradientNorm'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(ELEMENT);
    const tasks = sizes.map((size) => Math.ceil(size / SQUARES_PART));
    const count = tasks.reduce((sum, parts) => sum + parts, 0);
    const parts = arena.scratch(count * PART_BYTES).address;
    let place = parts;
    const commands = gradients.map((gradient, index): Command => {
      const call = { x: addressOf(gradient), size: sizes[index]!, parts: place };
      place += tasks[index]! * PART_BYTES;
      return { operation: 'squares', tasks: tasks[index]!, call };
    });
    runCommands(heap, arena, team, ...commands, {
      operation: 'root',
      tasks: 1,
      call: { parts, count, y: y.address },
    });
    return y;
  });
}
