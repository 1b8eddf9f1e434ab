import { type HostTensor, MambaError, type Precision, type Shape } from '@mamba/core';
import { FLOAT64_TOLERANCE } from '../cases/case.ts';

/**
 * One comparison: of a tensor with its reference values, or of a fact (memory, an error code) with its expected value.
 */
export interface TensorReport {
  /** The origin of the expected values: `suite`, `invariants`, or a file. */
  readonly source: string;
  readonly case: string;
  readonly tensor: string;
  /** The largest absolute error; Infinity where one side is NaN or infinite and the other is not. */
  readonly maxAbsError: number;
  /** The largest finite absolute reference value. */
  readonly scale: number;
  /** maxAbsError / scale. */
  readonly relativeError: number;
  /** The bound of relativeError. */
  readonly tolerance: number;
  readonly pass: boolean;
  /** An explanation in words, where the numbers alone do not tell what is wrong. */
  readonly message?: string | undefined;
}

export type Values = ArrayLike<number>;

export interface MatchOptions {
  /** Errors are relative to this where the largest expected value is smaller. Default 0. */
  readonly leastScale?: number | undefined;
  /** The accuracy of the expected values, relative to the largest. Default: the rounding of their type. */
  readonly rounding?: number | undefined;
}

/** The bound for a backend of this precision. An exact case is exact in both precisions. */
function toleranceFor(precision: Precision, relative: number): number {
  return precision === 'float64' ? Math.min(relative, FLOAT64_TOLERANCE) : relative;
}

/** Collects the reports of one check. */
export class Findings {
  readonly reports: TensorReport[] = [];
  readonly #source: string;
  readonly #case: string;
  readonly #precision: Precision;

  constructor(source: string, caseId: string, precision: Precision) {
    this.#source = source;
    this.#case = caseId;
    this.#precision = precision;
  }

  /**
   * Compares the shape and the values of a tensor with those of a file, allowing for the rounding of the type in the
   * file.
   */
  matches(
    tensor: string,
    actual: Values,
    shape: Shape,
    expected: HostTensor,
    relative: number,
    { leastScale = 0, rounding = 0 }: MatchOptions = {},
  ): void {
    const same =
      shape.length === expected.shape.length && shape.every((extent, axis) => extent === expected.shape[axis]);
    if (!same) {
      this.fail(tensor, `[${shape.join(', ')}] instead of [${expected.shape.join(', ')}]`);
      return;
    }
    const stored = expected.dtype === 'float32' ? 2 ** -23 : 0;
    this.close(tensor, actual, numbers(expected), relative, Math.max(stored, rounding), leastScale);
  }

  /**
   * Checks that values are within `relative` of the largest expected value, or within `stored`, the rounding of the
   * expected values. NaN and infinities have to be at the same positions. Errors are relative to at least `leastScale`.
   */
  close(tensor: string, actual: Values, expected: Values, relative: number, stored = 0, leastScale = 0): void {
    const tolerance = Math.max(toleranceFor(this.#precision, relative), stored);
    if (actual.length !== expected.length) {
      this.fail(tensor, `${actual.length} values instead of ${expected.length}`);
      return;
    }
    const { maxAbsError, scale: own, position } = difference(actual, expected, this.#precision);
    const scale = Math.max(own, leastScale);
    const relativeError = maxAbsError === 0 ? 0 : maxAbsError / scale;
    const pass = relativeError <= tolerance;
    const message = pass ? undefined : `at ${position}: ${actual[position]} instead of ${expected[position]}`;
    this.#add({ tensor, maxAbsError, scale, relativeError, tolerance, pass, message });
  }

  /** Checks that values are equal bit for bit; all NaN are equal. */
  identical(tensor: string, actual: Values, expected: Values): void {
    const length = Math.max(actual.length, expected.length);
    let position = sameBits(actual, expected) ? length : 0;
    while (position < length && Object.is(actual[position], expected[position])) position++;
    if (position === length)
      this.#add({ tensor, maxAbsError: 0, scale: 1, relativeError: 0, tolerance: 0, pass: true });
    else this.fail(tensor, `at ${position}: ${actual[position]} is not exactly ${expected[position]}`);
  }

  /** Checks a count of bytes or tensors. */
  equal(what: string, actual: number, expected: number): void {
    const maxAbsError = Math.abs(actual - expected);
    const pass = actual === expected;
    const scale = Math.abs(expected) || 1;
    const message = pass ? undefined : `${actual} instead of ${expected}`;
    this.#add({ tensor: what, maxAbsError, scale, relativeError: maxAbsError / scale, tolerance: 0, pass, message });
  }

  /** Checks an error that was computed elsewhere. The report has its size also if it passes. */
  within(what: string, error: number, tolerance: number): void {
    const pass = error <= tolerance;
    this.#add({ tensor: what, maxAbsError: error, scale: 1, relativeError: error, tolerance, pass });
  }

  /** Checks a condition. */
  holds(what: string, pass: boolean, message: string): void {
    if (pass) this.#add({ tensor: what, maxAbsError: 0, scale: 1, relativeError: 0, tolerance: 0, pass });
    else this.fail(what, message);
  }

  fail(tensor: string, message: string): void {
    const { POSITIVE_INFINITY } = Number;
    this.#add({
      tensor,
      maxAbsError: POSITIVE_INFINITY,
      scale: 1,
      relativeError: POSITIVE_INFINITY,
      tolerance: 0,
      pass: false,
      message,
    });
  }

  #add(report: Omit<TensorReport, 'source' | 'case'>): void {
    this.reports.push({ source: this.#source, case: this.#case, ...report });
  }
}

/** The values of a float or integer tensor, as stored. */
function numbers(host: HostTensor): Values {
  if (host.dtype !== 'float16' && host.dtype !== 'bfloat16') return host.data;
  throw new MambaError('unsupported', 'expected values are stored in halves', {
    given: host.dtype,
    expected: 'float64, float32 or integers',
  });
}

/** Whether both are arrays of one type with the same bits. This is much faster than comparing values. */
function sameBits(a: Values, b: Values): boolean {
  const words = (values: Values): Uint32Array | undefined =>
    values instanceof Float32Array || values instanceof Float64Array || values instanceof Int32Array
      ? new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4)
      : undefined;
  const [one, other] = [words(a), words(b)];
  if (one === undefined || other === undefined || a.constructor !== b.constructor || one.length !== other.length)
    return false;
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at === one.length;
}

/** The largest finite absolute value of a float or integer tensor. */
export function largest(host: HostTensor): number {
  let value = 0;
  for (const item of Array.from(numbers(host))) if (Number.isFinite(item)) value = Math.max(value, Math.abs(item));
  return value;
}

/** Describes a failed report in one line. */
export function describeReport(report: TensorReport): string {
  const { case: id, tensor, relativeError, tolerance, message } = report;
  const numbers = Number.isFinite(relativeError)
    ? `relative error ${relativeError.toExponential(2)} above ${tolerance.toExponential(1)}`
    : undefined;
  return `${id}, ${tensor}: ${[numbers, message].filter((part) => part !== undefined).join('; ')}`;
}

function difference(
  actual: Values,
  expected: Values,
  precision: Precision,
): { maxAbsError: number; scale: number; position: number } {
  let maxAbsError = 0;
  let scale = 0;
  let position = 0;
  for (let index = 0; index < expected.length; index++) {
    const want = expected[index]!;
    const have = actual[index]!;
    // An expected value that overflows the backend's type is infinite there.
    const infinite = !Number.isFinite(precision === 'float32' ? Math.fround(want) : want);
    if (!infinite) scale = Math.max(scale, Math.abs(want));
    let error = Math.abs(have - want);
    if (infinite || !Number.isFinite(have))
      error = Object.is(have, precision === 'float32' ? Math.fround(want) : want) ? 0 : Number.POSITIVE_INFINITY;
    if (error > maxAbsError) {
      maxAbsError = error;
      position = index;
    }
  }
  return { maxAbsError, scale, position };
}
