import type { Results } from '@mamba/core/driver';
import { GROUP, PANEL } from '../generated/calls.ts';
import type { Arena } from '../memory/heap.ts';
import { matrixBytes, type Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import { columnSumCommands } from './column-sum.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';
import { type LinearOptions, linearCommands, MOST_TRANSPOSED_TASK_ROWS } from './linear.ts';

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
      const columns = columnsOf(context, arena, weight.storage, outputs, inputs, rows);
      const product = { x: from, ...columns.product, y: dx.address, rows, inputs: outputs, outputs: inputs };
      commands.push(...columns.commands, ...linearCommands(context, arena, product));
    }
    if (dWeight !== undefined) {
      addressOf(x);
      const columns = columnsOf(context, arena, x.storage, rows, inputs, outputs);
      const product = { x: from, xTransposed: true, ...columns.product, y: dWeight.address };
      const extents = { rows: outputs, inputs: rows, outputs: inputs };
      commands.push(...columns.commands, ...linearCommands(context, arena, { ...product, ...extents }));
    }
    if (dBias !== undefined) commands.push(...columnSumCommands(arena, from, dBias, rows, outputs));
    runCommands(heap, arena, team, ...commands);
    return { ...(dx && { x: dx }), ...(dWeight && { weight: dWeight }), ...(dBias && { bias: dBias }) };
  });
}

/** A matrix whose columns are the outputs of a product, and the commands before it. */
interface Columns {
  readonly product: Pick<LinearOptions, 'weight' | 'weightTransposed'>;
  readonly commands: readonly Command[];
}

/**
 * Takes the columns of a matrix `[rows, columns]`. A product of few rows makes panels of them as it goes; where there
 * are more, panels are made once, in scratch of the matrix's size.
 */
function columnsOf(
  { team }: Context,
  arena: Arena,
  matrix: Storage,
  rows: number,
  columns: number,
  productRows: number,
): Columns {
  const { address, layout = 'rows' } = matrix;
  if (productRows <= MOST_TRANSPOSED_TASK_ROWS)
    return { product: { weight: matrix, weightTransposed: true }, commands: [] };
  const panels = arena.scratch(matrixBytes('float32', rows, columns));
  const { address: scratch, stride: scratchStride } = threadScratch(arena, team, GROUP * PANEL * ELEMENT);
  const call = { matrix: address, layout, rows, columns, to: panels.address, scratch, scratchStride };
  return {
    product: { weight: { ...panels, layout: 'float32' } },
    commands: [{ operation: 'linearColumns', tasks: Math.ceil(columns / PANEL), call }],
  };
}
