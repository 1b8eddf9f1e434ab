/** A tensor's memory on the device: one buffer, or for a matrix ranges of rows in one or more buffers. */
import type { DType } from '@mamba/core';
import type { DeviceTensor } from '@mamba/core/driver';
import type { PooledBuffer } from './gpu/buffer-pool.ts';
import type { BufferRange } from './gpu/shader.ts';
import type { Joined } from './joined.ts';

export type Format = 'float32' | 'int32' | 'float16' | 'bfloat16' | 'q8' | 'q4';

/** The numbers of formats, for FORMAT of lib/weights.wgsl. */
export const FORMATS = { float32: 0, float16: 1, bfloat16: 2, q8: 3, q4: 4 } as const;

/** Columns of a block. Rows of all but floats are padded with zeros to whole blocks. */
export const BLOCK = 32;

/** Whether blocks of this format have a scale. */
export function hasScales(format: Format): format is 'q8' | 'q4' {
  return format === 'q8' || format === 'q4';
}

/** Rows `[firstRow, firstRow + rows)` of a matrix, at most those that its shape has. */
export interface Part {
  readonly buffer: PooledBuffer;
  readonly firstRow: number;
  readonly rows: number;
  readonly values: BufferRange;
  /** The scales of q8 and q4, bfloat16 and two to a word, behind the values; undefined for other formats. */
  readonly scales: BufferRange | undefined;
}

export interface Storage {
  readonly format: Format;
  readonly parts: readonly Part[];
  /** The matrix that this one is a part of; undefined where it has its memory for itself. */
  readonly joined?: Joined | undefined;
}

/** The storage of a tensor that is not split. Its one part has all rows. */
export function unsplitStorage(buffer: PooledBuffer, format: 'float32' | 'int32' = 'float32'): Storage {
  const values = { buffer: buffer.buffer, offset: 0, size: buffer.size };
  return { format, parts: [{ buffer, firstRow: 0, rows: Number.POSITIVE_INFINITY, values, scales: undefined }] };
}

/** The buffer of a tensor that is not split; `supports` has refused split ones. */
export function rangeOf(tensor: DeviceTensor<Storage>): BufferRange {
  return tensor.storage.parts[0]!.values;
}

/** Bytes of one stored row, without its scales. */
export function rowBytes(format: Format, columns: number): number {
  const padded = Math.ceil(columns / BLOCK) * BLOCK;
  if (hasScales(format)) return format === 'q8' ? padded : padded / 2;
  return format === 'float16' || format === 'bfloat16' ? 2 * padded : 4 * columns;
}

export function scaleBytes(format: Format, columns: number): number {
  return hasScales(format) ? 4 * pairsOf(columns) : 0;
}

/** Pairs of blocks of a row. */
export function pairsOf(columns: number): number {
  return Math.ceil(columns / (2 * BLOCK));
}

export function formatOf(dtype: DType): Format | undefined {
  return dtype === 'float64' ? undefined : dtype;
}
