import type { Results } from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { type Command, runCommands } from '../program/program.ts';
import { columnSumCommands } from './column-sum.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { linearCommands } from './linear.ts';

/**
 * Both gradients of matrices are products on the tiles of `linear`: `dx = dy weight` takes the weight's columns as
 * outputs, and `dweight = dyᵀ x` the columns of dy as rows, and those of x as outputs. Sums over rows have an order
 * that depends on the shape alone.
 */
export function linearBackward(
  context: Context,
  { x, weight, dy, rows, inputs, outputs, wanted }: Call<'linearBackward'>,
): Results<Storage>['linearBackward'] {
  const { heap, team } = context;
  return heap.run((arena) => {
    const result = (name: (typeof wanted)[number], size: number) =>
      wanted.includes(name) ? arena.result(size * ELEMENT) : undefined;
    const [dx, dWeight, dBias] = [
      result('x', rows * inputs),
      result('weight', outputs * inputs),
      result('bias', outputs),
    ];
    const from = addressOf(dy);
    const commands: Command[] = [];
    if (dx !== undefined) {
      const product = { x: from, weight: weight.storage, weightTransposed: true, y: dx.address };
      commands.push(...linearCommands(context, arena, { ...product, rows, inputs: outputs, outputs: inputs }));
    }
    if (dWeight !== undefined) {
      addressOf(x);
      const product = { x: from, xTransposed: true, weight: x.storage, weightTransposed: true, y: dWeight.address };
      commands.push(...linearCommands(context, arena, { ...product, rows: outputs, inputs: rows, outputs: inputs }));
    }
    if (dBias !== undefined) commands.push(...columnSumCommands(arena, from, dBias, rows, outputs));
    runCommands(heap, arena, team, ...commands);
    return { ...(dx && { x: dx }), ...(dWeight && { weight: dWeight }), ...(dBias && { bias: dBias }) };
  });
}
