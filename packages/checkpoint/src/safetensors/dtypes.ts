import type { DType } from '@mamba/core';

/** The number of bits of an element, for every dtype of the format. */
const BITS: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
  ['C64', 64],
]);

/**
 * The dtypes whose values can be read, with the dtype that they become. Values of I64 must fit into int32, as ids and
 * positions do.
 */
export const READABLE: ReadonlyMap<string, Exclude<DType, 'q8' | 'q4'>> = new Map([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['I64', 'int32'],
]);

export function bitsOf(dtype: string): number | undefined {
  return BITS.get(dtype);
}

export function dtypeNames(): string {
  return [...BITS.keys()].join(', ');
}
