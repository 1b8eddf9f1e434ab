import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { floats, integers, normals } from './host.ts';

/** Sizes and options of a case of `logProb` and of its gradient: logits `[...rows, vocab]`. */
export interface LogProbCaseOptions {
  readonly rows: Shape;
  readonly vocab: number;
  /** The standard deviation of the logits. Default 3. */
  readonly scale?: number | undefined;
  /** A number that is added to every logit, which must not change the result. Default 0. */
  readonly shift?: number | undefined;
  /** The values of the logits, row by row. Default: normal numbers. */
  readonly values?: readonly number[] | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The log-probabilities of seeded tokens. */
export function logProbCase(options: LogProbCaseOptions): OperationCase<'logProb'> {
  const { rows, vocab, scale = 3, shift = 0, values, seed = 1 } = options;
  return operationCase({
    operation: 'logProb',
    id: `log-prob/${options.id ?? `r${rows.join('x')}-v${vocab}`}`,
    seed,
    sizes: { rows: rows.join('x'), vocab, scale, shift },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      const shape = [...rows, vocab];
      return {
        logits: {
          host: values === undefined ? normals(random, shape, scale, shift) : floats(shape, (index) => values[index]!),
        },
        ids: { host: integers(rows, (index) => (index === 0 ? vocab - 1 : random.integer(vocab))) },
      };
    },
    arguments: (tensors) => [tensors.logits, tensors.ids],
  });
}

/** The gradient of the logits, for a seeded cotangent. */
export function logProbBackwardCase(options: LogProbCaseOptions): OperationCase<'logProbBackward'> {
  return backwardCase(logProbCase(options), {
    operation: 'logProbBackward',
    shape: options.rows,
    arguments: ({ logits, ids, dy }) => [logits, ids, dy],
  });
}
