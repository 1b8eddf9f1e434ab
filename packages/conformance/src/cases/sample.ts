import type { ChoiceOptions, SampleOptions, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type OperationCase, operationCase } from './case.ts';
import { floats, normals } from './host.ts';

/** Sizes and options of a case of `sample`: logits `[...rows, vocab]`. */
export interface SampleCaseOptions extends SampleOptions, ChoiceOptions {
  readonly rows: Shape;
  readonly vocab: number;
  /** The values of the logits, row by row. Default: normal numbers of deviation 3. */
  readonly values?: readonly number[] | undefined;
  /** The random number of each row. Default: seeded ones. */
  readonly uniforms?: readonly number[] | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** Tokens drawn from seeded logits by seeded random numbers, or by given ones. */
export function sampleCase(options: SampleCaseOptions): OperationCase<'sample'> {
  const { rows, vocab, values, uniforms, id, seed = 1, ...sampling } = options;
  const variant = Object.entries(sampling).map(([name, value]) => `${name}${value}`);
  const named = id !== undefined && sampling.checked === true ? `${id}-checked` : id;
  return operationCase({
    operation: 'sample',
    id: `sample/${named ?? [`r${rows.join('x')}-v${vocab}`, ...variant].join('-')}`,
    seed,
    sizes: { rows: rows.join('x'), vocab, options: variant.join(' ') },
    tolerance: EXACT,
    build() {
      const random = new Random(seed);
      const shape = [...rows, vocab];
      return {
        logits: { host: values === undefined ? normals(random, shape, 3) : floats(shape, (index) => values[index]!) },
        uniform: {
          host: floats(rows, (index) => uniforms?.[index] ?? random.integer(2 ** 24) / 2 ** 24),
        },
      };
    },
    arguments: (tensors) => [tensors.logits, tensors.uniform, sampling],
  });
}
