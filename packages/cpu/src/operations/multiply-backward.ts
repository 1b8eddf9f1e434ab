import type { Results } from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { activationName } from './multiply.ts';

/** Values of a task. */
const TASK = 8192;

export function multiplyBackward(
  { heap, team }: Context,
  { a, b, dy, activation, scale, size }: Call<'multiplyBackward'>,
): Results<Storage>['multiplyBackward'] {
  return heap.run((arena) => {
    const da = arena.result(size * ELEMENT);
    const db = b && arena.result(size * ELEMENT);
    runCommands(heap, arena, team, {
      operation: 'multiplyBackward',
      tasks: Math.ceil(size / TASK),
      call: {
        a: addressOf(a),
        b: addressOf(b),
        dy: addressOf(dy),
        da: da.address,
        db: db?.address ?? 0,
        size,
        activation: activationName(activation),
        scale,
        taskValues: TASK,
      },
    });
    return { a: da, ...(db && { b: db }) };
  });
}
