import { invalid } from '../contract/errors.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * The root of the sum of the squares of all elements of these tensors, `[1]`: the norm that clipping looks at. It is
 * not finite where any element is not.
 * @throws MambaError `invalid-argument` where nothing is given, or dtypes differ.
 */
export interface GradientNormCall<T> {
  readonly gradients: readonly T[];
  /** Number of elements of each. */
  readonly sizes: readonly number[];
}

export function resolveGradientNorm<T extends TensorSpec>(
  gradients: readonly T[],
): { call: GradientNormCall<T>; outputs: TensorSpec } {
  const first = gradients?.[0];
  if (!Array.isArray(gradients) || first === undefined)
    throw invalid('gradientNorm.gradients', 'nothing', 'at least one tensor');
  const sizes = gradients.map((gradient: T, index) => {
    const origin = `gradientNorm.gradients[${index}]`;
    lastAxis(origin, gradient);
    checkActivation(origin, gradient);
    checkDType(origin, gradient, first.dtype);
    return sizeOf(gradient.shape);
  });
  return { call: { gradients, sizes }, outputs: { shape: [1], dtype: first.dtype } };
}
