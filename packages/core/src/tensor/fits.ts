/** Checks whether values fit a narrower type. Loading and writing of weights use it. */
import { MambaError } from '../contract/errors.ts';
import type { DType, HostTensor } from '../contract/tensor.ts';
import { bfloat16ToNumber, float16ToNumber } from './floats.ts';

/**
 * The values that a type holds. A finite value of at least `overflow` would become infinite. Types of blocks with a
 * scale hold finite values alone.
 */
interface Range {
  readonly overflow: number;
  readonly finite: boolean;
}

/**
 * An overflow is halfway from a type's largest value to the next power of two, where rounding to nearest begins to
 * overflow.
 */
const FLOAT32 = 2 ** 128 - 2 ** 103;
const RANGES: Readonly<Record<DType, Range>> = {
  float64: { overflow: Number.POSITIVE_INFINITY, finite: false },
  float32: { overflow: FLOAT32, finite: false },
  bfloat16: { overflow: 2 ** 128 - 2 ** 119, finite: false },
  float16: { overflow: 65520, finite: false },
  q8: { overflow: FLOAT32, finite: true },
  q4: { overflow: FLOAT32, finite: true },
  int32: { overflow: Number.POSITIVE_INFINITY, finite: false },
};

/** The largest finite value of each type of host tensors. */
const LARGEST: Readonly<Record<HostTensor['dtype'], number>> = {
  float64: Number.MAX_VALUE,
  float32: 2 ** 128 - 2 ** 104,
  bfloat16: 2 ** 128 - 2 ** 120,
  float16: 65504,
  int32: 0,
};

/** Index of the first value that `type` cannot hold, or -1. */
function misfitOf({ dtype, data }: HostTensor, type: DType): number {
  const { overflow, finite } = RANGES[type];
  if (!finite && LARGEST[dtype] < overflow) return -1;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const widen = dtype === 'float16' ? float16ToNumber : bfloat16ToNumber;
    for (let index = 0; index < data.length; index++) if (!within(widen(data[index]!), overflow, finite)) return index;
    return -1;
  }
  // A plain loop: a callback would box each value, tens of MiB of garbage while a model is loaded.
  for (let index = 0; index < data.length; index++) if (!within(data[index]!, overflow, finite)) return index;
  return -1;
}

/** Whether `type` can store this value; an infinity counts where it is stored as one. */
export function holds(type: DType, value: number): boolean {
  return within(value, RANGES[type].overflow, RANGES[type].finite);
}

function within(value: number, overflow: number, finite: boolean): boolean {
  const magnitude = Math.abs(value);
  return magnitude < overflow || (!finite && !(magnitude < Number.POSITIVE_INFINITY));
}

/** The values that `type` holds, in words. */
export function expectationOf(type: DType): string {
  const { overflow, finite } = RANGES[type];
  return finite ? 'finite values' : `values below ${Number.parseFloat(overflow.toPrecision(5))}`;
}

/** The caller's names of the type that was asked for and of wider types, for the message. */
export interface TypeNames {
  readonly type: string;
  readonly float32: string;
  readonly bfloat16: string;
}

/** The error for a weight with a value that its type cannot hold. `where` tells the place in words. */
export function misfit(weight: string, value: number, where: string, expected: string, names: TypeNames): MambaError {
  return new MambaError('invalid-argument', `${weight} does not fit ${names.type}`, {
    origin: weight,
    given: `${value} at ${where}`,
    expected,
    remedy: holds('bfloat16', value)
      ? `Keep it in ${names.float32} or ${names.bfloat16}.`
      : holds('float32', value)
        ? `Keep it in ${names.float32}.`
        : 'Mend the weight: no type of a model holds it.',
  });
}

export interface FitOptions {
  /** Names of types in the message. Default: those of DType. */
  readonly names?: TypeNames | undefined;
  /** The index of the first row of `host` in the whole matrix. Default 0. */
  readonly first?: number | undefined;
}

/**
 * Checks that `type` can store every value of `host`.
 * @throws MambaError `invalid-argument` where it cannot; the message names the weight, the value and its place.
 */
export function checkFits(weight: string, host: HostTensor, type: DType, options: FitOptions = {}): void {
  const index = misfitOf(host, type);
  if (index < 0) return;
  const { names = { type, float32: 'float32', bfloat16: 'bfloat16' }, first = 0 } = options;
  throw misfit(weight, numberAt(host, index), placeOf(index, host.shape, first), expectationOf(type), names);
}

function numberAt({ dtype, data }: HostTensor, index: number): number {
  const value = data[index]!;
  return dtype === 'float16' ? float16ToNumber(value) : dtype === 'bfloat16' ? bfloat16ToNumber(value) : value;
}

/** The place of an element in words: `[row, column]`. */
function placeOf(index: number, shape: readonly number[], first: number): string {
  const place: number[] = [];
  let rest = index;
  for (const extent of [...shape].reverse()) {
    place.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  place[0]! += first;
  return `[${place.join(', ')}]`;
}
