/** ggml's tensor types by their numbers in files, with the block sizes of known types. */

/** The types whose values can be read. */
export type GgufType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q4_K' | 'Q5_K' | 'Q6_K';

export type QuantizedType = Exclude<GgufType, 'F32' | 'F16' | 'BF16'>;

export interface BlockSize {
  /** Number of elements of a block. A row consists of whole blocks. */
  readonly elements: number;
  readonly bytes: number;
}

/** The block sizes of the types that can be read. */
export const BLOCKS: Readonly<Record<GgufType, BlockSize>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
};

/** The name of a type; undefined for a number that ggml has not assigned or has withdrawn. */
export function typeName(id: number): string | undefined {
  return NAMES.get(id);
}

export function typeId(type: GgufType): number {
  for (const [id, name] of NAMES) if (name === type) return id;
  throw new RangeError(type);
}

export function isReadable(name: string): name is GgufType {
  return Object.hasOwn(BLOCKS, name);
}

export function isQuantized(type: GgufType): type is QuantizedType {
  return BLOCKS[type].elements > 1;
}

export function readableTypes(): string {
  return Object.keys(BLOCKS).join(', ');
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'F32'],
  [1, 'F16'],
  [2, 'Q4_0'],
  [3, 'Q4_1'],
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [8, 'Q8_0'],
  [9, 'Q8_1'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [12, 'Q4_K'],
  [13, 'Q5_K'],
  [14, 'Q6_K'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [30, 'BF16'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
  [40, 'NVFP4'],
  [41, 'Q1_0'],
  [42, 'Q2_0'],
]);
