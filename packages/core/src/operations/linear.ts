import { invalid } from '../contract/errors.ts';
import type { LinearBackwardOptions, LinearGradients, LinearInput } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkCotangent,
  checkDType,
  checkExact,
  checkOneOf,
  checkOptions,
  checkRank,
  describe,
  like,
  parameterDType,
} from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * `y = x weightᵀ + bias`: x `[…, inputs]`, weight `[outputs, inputs]` in any weight dtype, bias `[outputs]`, y
 * `[…, outputs]`.
 * @throws MambaError `invalid-argument` on a wrong rank, shape or dtype.
 */
export interface LinearCall<T> {
  readonly x: T;
  readonly weight: T;
  readonly bias: T | undefined;
  /** The product of the leading extents of x. */
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

export function resolveLinear<T extends TensorSpec>(
  x: T,
  weight: T,
  bias: T | undefined,
  origin = 'linear',
): { call: LinearCall<T>; outputs: TensorSpec } {
  const { rows, channels: inputs, leading } = lastAxis(`${origin}.x`, x);
  checkActivation(`${origin}.x`, x);
  checkRank(`${origin}.weight`, weight, 2, '[outputs, inputs]');
  const outputs = weight.shape[0]!;
  checkExact(`${origin}.weight`, weight, [outputs, inputs], '[outputs, inputs]');
  checkDType(`${origin}.weight`, weight, parameterDType(x.dtype), 'float16', 'bfloat16', 'q8', 'q4');
  if (bias !== undefined) {
    checkExact(`${origin}.bias`, bias, [outputs], '[outputs]');
    checkDType(`${origin}.bias`, bias, parameterDType(x.dtype));
  }
  return {
    call: { x, weight, bias, rows, inputs, outputs },
    outputs: { shape: [...leading, outputs], dtype: x.dtype },
  };
}

/**
 * The gradients of `linear`'s inputs, in their shapes, where they are wanted:
 *
 *     dx = dy weight          dweight = Σ_rows dyᵀ x          dbias = Σ_rows dy
 */
export interface LinearBackwardCall<T> extends LinearCall<T> {
  readonly dy: T;
  /** The inputs whose gradients are computed, at least one. `bias` is among them only where there is one. */
  readonly wanted: readonly LinearInput[];
}

const INPUTS: readonly LinearInput[] = ['x', 'weight', 'bias'];

export function resolveLinearBackward<T extends TensorSpec>(
  x: T,
  weight: T,
  bias: T | undefined,
  dy: T,
  options: LinearBackwardOptions = {},
): { call: LinearBackwardCall<T>; outputs: LinearGradients<TensorSpec> } {
  const origin = 'linearBackward';
  const { call, outputs } = resolveLinear(x, weight, bias, origin);
  checkCotangent(origin, dy, outputs);
  checkOptions(origin, options, ['wanted']);
  const { wanted = bias === undefined ? ['x', 'weight'] : INPUTS } = options;
  if (!Array.isArray(wanted) || wanted.length === 0)
    throw invalid(`${origin}.wanted`, String(wanted), `a list of ${INPUTS.join(', ')}`);
  for (const name of wanted) checkOneOf(`${origin}.wanted`, name, INPUTS);
  if (wanted.includes('bias') && bias === undefined)
    throw invalid(`${origin}.wanted`, 'bias', 'inputs that are given', 'Leave it out, or pass the bias.');
  if (wanted.includes('weight') && weight.dtype !== parameterDType(x.dtype))
    throw invalid(
      `${origin}.wanted`,
      `weight, ${describe(weight)}`,
      `a weight in ${parameterDType(x.dtype)}`,
      'Leave weight out of `wanted`, or upload the matrix in the precision of the backend.',
    );
  return {
    call: { ...call, dy, wanted },
    outputs: {
      ...(wanted.includes('x') && { x: like(x) }),
      ...(wanted.includes('weight') && { weight: like(weight) }),
      ...(bias && wanted.includes('bias') && { bias: like(bias) }),
    },
  };
}
