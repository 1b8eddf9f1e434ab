/**
 * Matrices of 8 and 4 bits: blocks of 32 columns with one scale, as lib/weights.wgsl reads them. Their values are those
 * of every backend: a scale is bfloat16, rounded away from zero, and the integers are rounded for that scale, so that
 * its 8 bits cost no accuracy.
 */
import { bfloat16ToNumber } from '@mamba/core/driver';
import { BLOCK, pairsOf, rowBytes } from '../storage.ts';
import type { Encoded } from './encode.ts';

type Quantised = 'q8' | 'q4';

export function quantised(data: Float32Array, format: Quantised, columns: number, rows: number): Encoded {
  const stride = rowBytes(format, columns);
  const values = new Int8Array(rows * stride);
  const scales = new Uint16Array(2 * rows * pairsOf(columns));
  /** Bytes of a weight. */
  const width = format === 'q8' ? 1 : 1 / 2;
  const [write, limit] = format === 'q8' ? ([writeBytes, 127] as const) : ([writeNibbles, -8] as const);
  for (let row = 0; row < rows; row++) {
    for (let begin = 0; begin < columns; begin += BLOCK) {
      const from = row * columns + begin;
      const to = from + Math.min(BLOCK, columns - begin);
      let extreme = 0;
      for (let i = from; i < to; i++) {
        if (Math.abs(data[i]!) > Math.abs(extreme)) extreme = data[i]!;
      }
      // The value of largest magnitude becomes -8 in q4, so that all 16 values are used.
      const bits = roundedAway((format === 'q8' ? Math.abs(extreme) : extreme) / limit);
      const scale = bfloat16ToNumber(bits);
      if (scale === 0) continue;
      scales[2 * row * pairsOf(columns) + begin / BLOCK] = bits;
      write(values, row * stride + begin * width, { data, from, to }, Math.fround(1 / scale));
    }
  }
  return { values: new Uint8Array(values.buffer), scales: new Uint8Array(scales.buffer) };
}

export function dequantised(
  values: Int8Array,
  scales: Uint16Array,
  format: Quantised,
  columns: number,
  rows: number,
): Float32Array<ArrayBuffer> {
  const stride = rowBytes(format, columns);
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const firstScale = 2 * row * pairsOf(columns);
    for (let begin = 0; begin < columns; begin += BLOCK) {
      const scale = bfloat16ToNumber(scales[firstScale + begin / BLOCK]!);
      const end = Math.min(begin + BLOCK, columns);
      for (let column = begin; column < end; column++) {
        const integer = format === 'q8' ? values[row * stride + column]! : nibble(values, row * stride, column);
        result[row * columns + column] = scale * integer;
      }
    }
  }
  return result;
}

/** The columns of a block: places in `data`. */
interface Block {
  readonly data: Float32Array;
  readonly from: number;
  readonly to: number;
}

function writeBytes(target: Int8Array, at: number, { data, from, to }: Block, inverse: number): void {
  for (let i = from; i < to; i++)
    target[at + i - from] = Math.max(-127, Math.min(127, nearestEven(data[i]! * inverse)));
}

/** Sixteen bytes: the columns from 0 to 15 in their low nibbles, and those from 16 to 31 in their high ones. */
function writeNibbles(target: Int8Array, at: number, { data, from, to }: Block, inverse: number): void {
  for (let i = from; i < to; i++) {
    const value = Math.max(-8, Math.min(7, nearestEven(data[i]! * inverse))) & 15;
    const column = i - from;
    target[at + (column & 15)]! |= column < 16 ? value : value << 4;
  }
}

/** A value of q4. */
function nibble(values: Int8Array, row: number, column: number): number {
  const byte = values[row + (column >> 5) * 16 + (column & 15)]!;
  return (column & 16) === 0 ? (byte << 28) >> 28 : byte >> 4;
}

/** The bits of a bfloat16 that is at least as large as a value. */
function roundedAway(value: number): number {
  FLOAT[0] = value;
  return (BITS[0]! + 0xffff) >>> 16;
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** Adding it leaves no bits of a float32 behind the point, and rounds a half to even. */
const WHOLE = 1.5 * 2 ** 23;

/** The nearest whole number, the even one of two. */
function nearestEven(value: number): number {
  return Math.fround(Math.fround(value) + WHOLE) - WHOLE;
}
