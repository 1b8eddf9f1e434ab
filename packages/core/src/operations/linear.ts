import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact, checkRank, parameterDType } from './check.ts';
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
): { call: LinearCall<T>; outputs: TensorSpec } {
  const { rows, channels: inputs, leading } = lastAxis('linear.x', x);
  checkActivation('linear.x', x);
  checkRank('linear.weight', weight, 2, '[outputs, inputs]');
  const outputs = weight.shape[0]!;
  checkExact('linear.weight', weight, [outputs, inputs], '[outputs, inputs]');
  checkDType('linear.weight', weight, parameterDType(x.dtype), 'float16', 'bfloat16', 'q8', 'q4');
  if (bias !== undefined) {
    checkExact('linear.bias', bias, [outputs], '[outputs]');
    checkDType('linear.bias', bias, parameterDType(x.dtype));
  }
  return {
    call: { x, weight, bias, rows, inputs, outputs },
    outputs: { shape: [...leading, outputs], dtype: x.dtype },
  };
}
