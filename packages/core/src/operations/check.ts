import { invalid, type MambaError } from '../contract/errors.ts';
import type { ScanCotangents, ScanResult } from '../contract/operations.ts';
import { type DType, type Shape, sameShape, sizeOf, type TensorSpec } from '../contract/tensor.ts';

/** Largest number of elements of one tensor. Beyond it, sizes in bytes would not be exact integers. */
export const MAX_ELEMENTS = 2 ** 48;

export function describe(spec: TensorSpec): string {
  return `${spec.dtype} [${spec.shape.join(', ')}]`;
}

/** Checks that a shape is a list of integers of at least 1, with at most 2^48 elements. */
export function checkShape(origin: string, shape: Shape): void {
  if (!Array.isArray(shape)) throw invalid(origin, String(shape), 'a shape (an array of integers)');
  const bad = shape.find((extent) => !Number.isSafeInteger(extent) || extent < 1);
  if (bad !== undefined)
    throw invalid(origin, `shape [${shape.join(', ')}]`, 'extents that are integers of at least 1');
  if (sizeOf(shape) > MAX_ELEMENTS) {
    throw invalid(origin, `shape [${shape.join(', ')}]`, `at most 2^48 elements`, 'Split the work into chunks.');
  }
}

/** Checks a tensor's rank. `layout` names the axes in the message: `[batch, length, dim]`. */
export function checkRank(origin: string, spec: TensorSpec, rank: number, layout: string): void {
  checkTensor(origin, spec);
  if (spec.shape.length !== rank) throw invalid(origin, describe(spec), `rank ${rank}, ${layout}`);
}

export function checkExact(origin: string, spec: TensorSpec, shape: Shape, layout: string): void {
  checkTensor(origin, spec);
  if (!sameShape(spec.shape, shape)) throw invalid(origin, describe(spec), `[${shape.join(', ')}] (${layout})`);
}

export function checkDType(origin: string, spec: TensorSpec, ...expected: readonly DType[]): void {
  if (!expected.includes(spec.dtype)) throw invalid(origin, describe(spec), `dtype ${expected.join(' or ')}`);
}

/** Checks that a tensor has a dtype of activations: a precision of backends, or float16 for storage. */
export function checkActivation(origin: string, spec: TensorSpec): void {
  checkDType(origin, spec, 'float32', 'float64', 'float16');
}

/** The dtype of parameters and state: that of the activations, or float32 where those are stored in float16. */
export function parameterDType(activation: DType): DType {
  return activation === 'float16' ? 'float32' : activation;
}

/** Checks int32 marks or ids of this shape, and that all values are within `[0, limit)` if a limit is given. */
export function checkIntegers(origin: string, spec: TensorSpec, shape: Shape, layout: string, limit?: number): void {
  checkExact(origin, spec, shape, layout);
  checkDType(origin, spec, 'int32');
  if (limit !== undefined) checkIdRange(origin, spec, limit);
}

export function checkIdRange(origin: string, spec: TensorSpec, limit: number): void {
  const { range } = spec;
  if (range !== undefined && (range.min < 0 || range.max >= limit)) {
    throw invalid(origin, `ids from ${range.min} to ${range.max}`, `ids from 0 to ${limit - 1}`);
  }
}

/** Refuses unknown options, so that a misspelt one is not silently ignored. */
export function checkOptions(origin: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(origin, String(options), 'an object of options');
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw unknownOption(origin, key, known);
  }
}

/** Checks that a value is one of the allowed words. @throws MambaError `invalid-argument` */
export function checkOneOf(origin: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw invalid(origin, JSON.stringify(value), `one of ${allowed.join(', ')}`);
}

/** Checks that a value is true or false. @throws MambaError `invalid-argument` */
export function checkBoolean(origin: string, value: boolean): void {
  if (typeof value !== 'boolean') throw invalid(origin, String(value), 'true or false');
}

/** Checks that a value is a number within [min, max]. */
export function checkNumber(origin: string, value: number, min: number, max: number): void {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(origin, String(value), `a number from ${min} to ${max}`);
  }
}

/** Checks that a value is an integer within [min, max]. @throws MambaError `invalid-argument` */
export function checkInteger(origin: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalid(
      origin,
      String(value),
      max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
    );
  }
}

/** Checks the cotangents of a scan or a convolution: each has the shape and dtype of its result. */
export function checkCotangents(
  origin: string,
  cotangents: ScanCotangents<TensorSpec>,
  outputs: ScanResult<TensorSpec>,
): void {
  checkOptions(`${origin}.cotangents`, cotangents, ['y', 'lastState']);
  for (const name of ['y', 'lastState'] as const) {
    const cotangent = cotangents[name];
    if (name === 'lastState' && cotangent === undefined) continue;
    checkExact(`${origin}.cotangents.${name}`, cotangent!, outputs[name].shape, `as the forward ${name}`);
    checkDType(`${origin}.cotangents.${name}`, cotangent!, outputs[name].dtype);
  }
}

/** Checks the cotangent of a single result: it has the result's shape and dtype. */
export function checkCotangent(origin: string, cotangent: TensorSpec, output: TensorSpec): void {
  checkExact(`${origin}.dy`, cotangent, output.shape, 'as the forward result');
  checkDType(`${origin}.dy`, cotangent, output.dtype);
}

/** The spec of a gradient: that of its input. */
export function like({ shape, dtype }: TensorSpec): TensorSpec {
  return { shape, dtype };
}

function checkTensor(origin: string, value: TensorSpec): void {
  if (typeof value !== 'object' || value === null || !Array.isArray(value.shape)) {
    throw invalid(origin, String(value), 'a tensor', 'Make one with backend.upload().');
  }
}

function unknownOption(origin: string, key: string, known: readonly string[]): MambaError {
  return invalid(`${origin}.${key}`, 'an unknown option', `one of ${known.join(', ')}`);
}
