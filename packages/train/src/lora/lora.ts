/** Low-rank adapters (arXiv 2106.09685): a frozen matrix W is trained as W + alpha / rank · B A, of few parameters. */
import { type Backend, invalid, type ParameterSpec, type Tensor } from '@mamba/core';
import { checkInteger, checkNumber, checkOptions } from '@mamba/core/toolkit';

/** The adapters of arXiv 2106.09685: their rank, their weight, and where they are. */
export interface LoraOptions {
  /** The rank of what is added to a matrix. */
  readonly rank: number;
  /** What is added is multiplied by alpha / rank. Default: twice the rank. */
  readonly alpha?: number | undefined;
  /**
   * The matrices that have adapters: by their names in a block, as `inProj`, or in the model, as
   * `layers.3.block.inProj`. Default: all matrices of all blocks.
   */
  readonly targets?: readonly string[] | undefined;
  /** The seed of the first values of A; those of B are zero. Default 0. */
  readonly seed?: number | undefined;
}

/** The adapter of a matrix `[outputs, inputs]`. Both are stored so that B A is one product of `linear`. */
export interface Adapter<T> {
  /** A, transposed: `[inputs, rank]`. */
  readonly a: T;
  /** B: `[outputs, rank]`. */
  readonly b: T;
}

/**
 * The adapters of a model, by the names of their matrices.
 * @throws MambaError `invalid-argument` where an option is wrong or a target names no matrix.
 */
export function loraParameters(
  parameters: readonly ParameterSpec[],
  options: LoraOptions,
): ReadonlyMap<string, Adapter<ParameterSpec>> {
  checkOptions('lora', options, ['rank', 'alpha', 'targets', 'seed']);
  checkInteger('lora.rank', options.rank, 1);
  checkNumber('lora.alpha', loraScale(options) * options.rank, 0, Number.MAX_VALUE);
  const matrices = parameters.filter(({ role, layer }) => role === 'matrix' && layer !== undefined);
  const names = ({ name, key }: ParameterSpec): readonly string[] => [name, key.slice('block.'.length)];
  const { targets } = options;
  const wrong = targets?.find((target) => !matrices.some((matrix) => names(matrix).includes(target)));
  if (wrong !== undefined || targets?.length === 0)
    throw invalid(
      'lora.targets',
      JSON.stringify(wrong ?? []),
      `names of matrices: ${[...new Set(matrices.map((matrix) => names(matrix)[1]))].join(', ')}`,
    );
  const chosen = matrices.filter((matrix) => targets?.some((target) => names(matrix).includes(target)) ?? true);
  return new Map(chosen.map((matrix) => [matrix.name, adapterOf(matrix, options)]));
}

function adapterOf(matrix: ParameterSpec, { rank }: LoraOptions): Adapter<ParameterSpec> {
  const [outputs, inputs] = matrix.shape as [number, number];
  const factor = (name: string, rows: number, bound: number): ParameterSpec => ({
    ...matrix,
    ...{ name: `${matrix.name}.${name}`, key: `${matrix.key}.${name}` as ParameterSpec['key'], shape: [rows, rank] },
    training: { initial: { kind: 'uniform', bound } },
  });
  return { a: factor('loraA', inputs, 1 / Math.sqrt(inputs)), b: factor('loraB', outputs, 0) };
}

/** alpha / rank. */
export function loraScale({ rank, alpha = 2 * rank }: LoraOptions): number {
  return alpha / rank;
}

/** W + alpha / rank · B A, `[outputs, inputs]`. The caller disposes it. */
export function adapted(backend: Backend, weight: Tensor, { a, b }: Adapter<Tensor>, scale: number): Tensor {
  const product = backend.linear(b, a);
  try {
    const scaled = backend.multiply(product, undefined, { scale });
    try {
      return backend.add(weight, scaled);
    } finally {
      scaled.dispose();
    }
  } finally {
    product.dispose();
  }
}
