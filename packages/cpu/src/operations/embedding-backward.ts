import type { Allocation } from '../memory/allocator.ts';
import { runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** Tasks at most, as each of them looks at all ids. */
const TASKS = 64;

export function embeddingBackward(
  { heap, team }: Context,
  { ids, dy, count, rows, channels }: Call<'embeddingBackward'>,
): Allocation {
  return heap.run((arena) => {
    const gradient = arena.result(rows * channels * ELEMENT);
    const taskRows = Math.ceil(rows / TASKS);
    runCommands(heap, arena, team, {
      operation: 'embeddingBackward',
      tasks: Math.ceil(rows / taskRows),
      call: { ids: addressOf(ids), dy: addressOf(dy), dTable: gradient.address, count, rows, channels, taskRows },
    });
    return gradient;
  });
}
