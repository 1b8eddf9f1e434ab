import type { HostTensor } from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '@mamba/core/driver';
import { type Format, hasScales, rowBytes } from '../storage.ts';
import { dequantised, quantised } from './blocks.ts';

/** Encoded rows of a host matrix: the stored values, and the scales of q8 and q4. */
export interface Encoded {
  readonly values: Uint8Array<ArrayBuffer>;
  readonly scales: Uint8Array<ArrayBuffer> | undefined;
}

export function encodeRows(host: HostTensor, format: Format, columns: number, first: number, rows: number): Encoded {
  const data = host.data.subarray(first * columns, (first + rows) * columns);
  if (format === host.dtype && (format === 'float32' || format === 'int32'))
    return { values: bytesOf(data), scales: undefined };
  const widen = host.dtype === 'float16' ? float16ToNumber : host.dtype === 'bfloat16' ? bfloat16ToNumber : identity;
  if (format === 'float32' || format === 'int32')
    return { values: bytesOf(Float32Array.from(data, widen)), scales: undefined };
  if (hasScales(format)) return quantised(data, widen, format, columns, rows);
  const stride = rowBytes(format, columns) / 2;
  const same = host.dtype === format;
  // Nothing has to be padded or converted, so the file's bytes are taken as they are.
  if (same && stride === columns) return { values: bytesOf(data), scales: undefined };
  const words = new Uint16Array(rows * stride);
  const narrow = format === 'float16' ? numberToFloat16 : numberToBfloat16;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = data[row * columns + column]!;
      words[row * stride + column] = same ? value : narrow(widen(value));
    }
  }
  return { values: bytesOf(words), scales: undefined };
}

/** Decodes rows to floats, as `read` returns them. */
export function decodeRows(
  values: ArrayBuffer,
  scales: ArrayBuffer | undefined,
  format: Format,
  columns: number,
  rows: number,
): Float32Array<ArrayBuffer> {
  if (format === 'float32') return new Float32Array(values, 0, rows * columns);
  if (hasScales(format)) return dequantised(new Int8Array(values), new Uint16Array(scales!), format, columns, rows);
  const result = new Float32Array(rows * columns);
  const words = new Uint16Array(values);
  const widen = format === 'float16' ? float16ToNumber : bfloat16ToNumber;
  const stride = rowBytes(format, columns) / 2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[row * columns + column] = widen(words[row * stride + column]!);
  }
  return result;
}

function bytesOf(array: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function identity(value: number): number {
  return value;
}
