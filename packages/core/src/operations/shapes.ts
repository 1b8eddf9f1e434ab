import { invalid } from '../contract/errors.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { describe } from './check.ts';

/** A tensor seen as rows of channels: the last axis, and all other axes flattened. */
export function lastAxis(
  origin: string,
  spec: TensorSpec,
): { rows: number; channels: number; leading: readonly number[] } {
  if (!Array.isArray(spec?.shape)) throw invalid(origin, String(spec), 'a tensor', 'Make one with backend.upload().');
  if (spec.shape.length < 1) throw invalid(origin, describe(spec), 'rank 1 or more, [..., channels]');
  const leading = spec.shape.slice(0, -1);
  return { rows: sizeOf(leading), channels: spec.shape.at(-1)!, leading };
}
