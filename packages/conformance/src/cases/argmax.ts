import type { ChoiceOptions, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type OperationCase, operationCase } from './case.ts';
import { floats, normals } from './host.ts';

/** Sizes and options of a case of `argmax`: logits `[...rows, vocab]`. */
export interface ArgmaxCaseOptions extends ChoiceOptions {
  readonly rows: Shape;
  readonly vocab: number;
  /** The values of the logits, row by row. Default: normal numbers. */
  readonly values?: readonly number[] | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The index of the largest of seeded logits, or of given ones. */
export function argmaxCase(options: ArgmaxCaseOptions): OperationCase<'argmax'> {
  const { rows, vocab, values, checked = false, seed = 1 } = options;
  return operationCase({
    operation: 'argmax',
    id: `argmax/${options.id ?? `r${rows.join('x')}-v${vocab}`}${checked ? '-checked' : ''}`,
    seed,
    sizes: { rows: rows.join('x'), vocab, checked },
    tolerance: EXACT,
    build() {
      const shape = [...rows, vocab];
      return {
        logits: {
          host: values === undefined ? normals(new Random(seed), shape) : floats(shape, (index) => values[index]!),
        },
      };
    },
    arguments: (tensors) => (checked ? [tensors.logits, { checked }] : [tensors.logits]),
  });
}
