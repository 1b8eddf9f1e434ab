import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { floats, integers, normals } from './host.ts';

/** Sizes and options of a case of `crossEntropy` and of its gradient: logits `[...rows, vocab]`. */
export interface CrossEntropyCaseOptions {
  readonly rows: Shape;
  readonly vocab: number;
  /** Default: the operation's. */
  readonly labelSmoothing?: number | undefined;
  /** Whether one row in three is ignored. Default false. */
  readonly ignored?: boolean | undefined;
  /** The standard deviation of the logits. Default 3. */
  readonly scale?: number | undefined;
  /** A number that is added to every logit, which must not change the result. Default 0. */
  readonly shift?: number | undefined;
  /** The values of the logits, row by row. Default: normal numbers. */
  readonly values?: readonly number[] | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The losses of rows, whose first target is the last token. */
export function crossEntropyCase(options: CrossEntropyCaseOptions): OperationCase<'crossEntropy'> {
  const { rows, vocab, labelSmoothing, ignored = false, scale = 3, shift = 0, values, seed = 1 } = options;
  const smooth = labelSmoothing === undefined ? '' : `-smooth-${labelSmoothing}`;
  return operationCase({
    operation: 'crossEntropy',
    optional: true,
    id: `cross-entropy/${options.id ?? `r${rows.join('x')}-v${vocab}${smooth}${ignored ? '-ignored' : ''}`}`,
    seed,
    sizes: { rows: rows.join('x'), vocab, labelSmoothing: labelSmoothing ?? 'default', ignored, scale, shift },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      const shape = [...rows, vocab];
      const target = (index: number): number => {
        const drawn = index === 0 ? vocab - 1 : random.integer(vocab);
        return ignored && index % 3 === 1 ? IGNORED[index % 2]! : drawn;
      };
      return {
        logits: {
          host: values === undefined ? normals(random, shape, scale, shift) : floats(shape, (index) => values[index]!),
        },
        targets: { host: integers(rows, target) },
      };
    },
    arguments: (tensors) => [tensors.logits, tensors.targets, { labelSmoothing }],
  });
}

/** Any target below 0 is ignored. */
const IGNORED = [-100, -1];

/** The gradient of the logits, for a seeded cotangent. */
export function crossEntropyBackwardCase(options: CrossEntropyCaseOptions): OperationCase<'crossEntropyBackward'> {
  return backwardCase(crossEntropyCase(options), {
    operation: 'crossEntropyBackward',
    shape: options.rows,
    arguments: ({ logits, targets, dy }) => [logits, targets, { labelSmoothing: options.labelSmoothing }, dy],
  });
}
