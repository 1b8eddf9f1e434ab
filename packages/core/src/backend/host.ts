/** Checks of the host values that are uploaded. */
import { invalid } from '../contract/errors.ts';
import {
  type HostRows,
  type HostTensor,
  type IntegerRange,
  sameShape,
  sizeOf,
  type TensorSpec,
} from '../contract/tensor.ts';
import { checkOneOf, checkShape, describe } from '../operations/check.ts';

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
} as const;

const FLOATS: readonly HostRows['dtype'][] = ['float32', 'float64', 'float16', 'bfloat16'];

export function isSpec(value: unknown): value is TensorSpec {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}

/** @throws MambaError `invalid-argument` where dtype, shape and values do not belong together. */
export function checkHost(origin: string, host: HostTensor): void {
  if (!isSpec(host)) throw invalid(origin, String(host), '{ dtype, shape, data }');
  checkOneOf(`${origin}.dtype`, host.dtype, Object.keys(ARRAYS));
  checkShape(`${origin}.shape`, host.shape);
  const expected = ARRAYS[host.dtype];
  if (!(host.data instanceof expected))
    throw invalid(`${origin}.data`, Object.prototype.toString.call(host.data), `a ${expected.name} for ${host.dtype}`);
  if (host.data.length !== sizeOf(host.shape))
    throw invalid(`${origin}.data`, `${host.data.length} values for ${describe(host)}`, `${sizeOf(host.shape)} values`);
}

/** @throws MambaError `invalid-argument` where `host` does not announce the rows of a matrix of floats. */
export function checkHostRows(host: HostRows): void {
  if (!isSpec(host) || typeof host.rows !== 'function')
    throw invalid('uploadRows', String(host), '{ dtype, shape, rows }');
  checkOneOf('uploadRows.dtype', host.dtype, FLOATS);
  checkShape('uploadRows.shape', host.shape);
  if (host.shape.length !== 2) throw invalid('uploadRows.shape', describe(host), 'a matrix [rows, columns]');
}

/** @throws MambaError `invalid-argument` where the rows from `first` on differ from what was announced. */
export function checkRows(given: HostTensor, expected: TensorSpec, first: number): void {
  checkHost('uploadRows.rows', given);
  if (given.dtype !== expected.dtype || !sameShape(given.shape, expected.shape))
    throw invalid('uploadRows.rows', describe(given), `${describe(expected)}, the rows from ${first} on`);
}

/** The smallest and the largest of at least one value. */
export function rangeOf(values: Int32Array): IntegerRange {
  let min = values[0]!;
  let max = min;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
