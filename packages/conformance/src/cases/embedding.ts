import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { EXACT, type OperationCase, operationCase, ROUNDING } from './case.ts';
import { integers, normals } from './host.ts';
import { halves } from './linear.ts';

/** Sizes and options of a case of `embedding` and of its gradient: table `[rows, channels]`. */
export interface EmbeddingCaseOptions {
  readonly rows: number;
  readonly channels: number;
  readonly ids: Shape;
  /** The dtype that the table is stored in. Default: the backend's precision. */
  readonly store?: 'float16' | 'bfloat16' | undefined;
  /** Uploads the table with the role `matrix`, as a tied head has it. Default true. */
  readonly matrix?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A lookup of random rows of a table, which always include the first and the last row. */
export function embeddingCase(options: EmbeddingCaseOptions): OperationCase<'embedding'> {
  const { rows, channels, ids, store, matrix = true, seed = 1 } = options;
  return operationCase({
    operation: 'embedding',
    id: `embedding/${options.id ?? `v${rows}-c${channels}-ids${ids.join('x')}`}`,
    seed,
    optional: store !== undefined,
    sizes: { rows, channels, ids: ids.join('x'), store: store ?? 'default', matrix },
    tolerance: EXACT,
    build() {
      const random = new Random(seed);
      return {
        table: { host: halves(normals(random, [rows, channels]), store), role: matrix ? 'matrix' : undefined, store },
        ids: {
          host: integers(ids, (index) => (index === 0 ? rows - 1 : index === 1 ? 0 : random.integer(rows))),
        },
      };
    },
    arguments: (tensors) => [tensors.table, tensors.ids],
  });
}

/** The gradient of the table, in which rows of ids that repeat add up. */
export function embeddingBackwardCase(options: EmbeddingCaseOptions): OperationCase<'embeddingBackward'> {
  return backwardCase(embeddingCase(options), {
    operation: 'embeddingBackward',
    shape: [...options.ids, options.channels],
    tolerance: ROUNDING,
    arguments: ({ table, ids, dy }) => [table, ids, dy],
  });
}
