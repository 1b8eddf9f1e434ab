import type { HostTensor, LinearInput, Shape } from '@mamba/core';
import { numberToBfloat16, numberToFloat16 } from '@mamba/core/toolkit';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING, type Tolerance } from './case.ts';
import { leadingExtents, normals } from './host.ts';

/** Sizes and options of a case of `linear`: x `[...rows, inputs]`, weight `[outputs, inputs]`. */
export interface LinearCaseOptions {
  /** The leading extents of x, or their product. */
  readonly rows: number | Shape;
  readonly inputs: number;
  readonly outputs: number;
  /** Default false. */
  readonly bias?: boolean | undefined;
  /**
   * The dtype that the weight is stored in, which holds its values exactly, so that the bound is the same. Default: the
   * backend's precision.
   */
  readonly store?: 'float16' | 'bfloat16' | undefined;
  /** Uploads the weight with the role `matrix`. Default true. */
  readonly matrix?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  readonly tolerance?: Tolerance | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** A product with a seeded weight. */
export function linearCase(options: LinearCaseOptions): OperationCase<'linear'> {
  const { inputs, outputs, bias = false, store, matrix = true, seed = 1, edit } = options;
  const leading = leadingExtents(options.rows);
  return operationCase({
    operation: 'linear',
    id: `linear/${options.id ?? `r${leading.join('x')}-k${inputs}-n${outputs}`}`,
    seed,
    optional: store !== undefined,
    sizes: { rows: leading.join('x'), inputs, outputs, bias, store: store ?? 'default', matrix },
    tolerance: options.tolerance ?? ROUNDING,
    build() {
      const random = new Random(seed);
      const all: Record<string, HostTensor> = {
        x: normals(random, [...leading, inputs]),
        weight: halves(normals(random, [outputs, inputs], 1 / Math.sqrt(inputs)), store),
        bias: normals(random, [outputs]),
      };
      if (!bias) delete all.bias;
      edit?.(all);
      return Object.fromEntries(
        Object.entries(all).map(([name, host]) => [
          name,
          name === 'weight' ? { host, role: matrix ? ('matrix' as const) : undefined, store } : { host },
        ]),
      );
    },
    arguments: ({ x, weight, bias: added }) => [x, weight, added],
  });
}

/** A tensor whose values are rounded to float16 or bfloat16, as the bits of that type. */
export function halves(
  host: HostTensor & { readonly dtype: 'float32' },
  store: 'float16' | 'bfloat16' | undefined,
): HostTensor {
  if (store === undefined) return host;
  const encode = store === 'float16' ? numberToFloat16 : numberToBfloat16;
  return { dtype: store, shape: host.shape, data: Uint16Array.from(host.data, encode) };
}

/** Sizes and options of a case of `linearBackward`. */
export interface LinearBackwardCaseOptions extends LinearCaseOptions {
  /** Default: all. */
  readonly wanted?: readonly LinearInput[] | undefined;
}

/** The gradients of a product's inputs. */
export function linearBackwardCase({ wanted, ...options }: LinearBackwardCaseOptions): OperationCase<'linearBackward'> {
  const leading = leadingExtents(options.rows);
  return backwardCase(linearCase(options), {
    operation: 'linearBackward',
    shape: [...leading, options.outputs],
    arguments: ({ x, weight, bias, dy }) => [x, weight, bias, dy, { wanted }],
  });
}
