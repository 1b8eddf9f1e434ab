import type { HostTensor } from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '@mamba/core/driver';
import { BLOCK, type Format, rowBytes, scaleBytes } from '../storage.ts';

/** Encoded rows of a host matrix: the stored values, and the scales of q8. */
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
  if (format === 'q8') return quantised(data, widen, columns, rows);
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
  const result = new Float32Array(rows * columns);
  if (format === 'q8') {
    const bytes = new Int8Array(values);
    const factors = new Float32Array(scales!);
    const stride = rowBytes(format, columns);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = row * stride + column;
        result[row * columns + column] = bytes[at]! * factors[Math.floor(at / BLOCK)]!;
      }
    }
    return result;
  }
  const words = new Uint16Array(values);
  const widen = format === 'float16' ? float16ToNumber : bfloat16ToNumber;
  const stride = rowBytes(format, columns) / 2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[row * columns + column] = widen(words[row * stride + column]!);
  }
  return result;
}

/** Quantises in blocks of 32. The scale is the largest magnitude over 127, in float32; values round to nearest. */
function quantised(data: HostTensor['data'], widen: (value: number) => number, columns: number, rows: number): Encoded {
  const stride = rowBytes('q8', columns);
  const blocks = scaleBytes('q8', columns) / 4;
  const values = new Int8Array(rows * stride);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const begin = block * BLOCK;
      const end = Math.min(begin + BLOCK, columns);
      let largest = 0;
      for (let column = begin; column < end; column++)
        largest = Math.max(largest, Math.abs(widen(data[row * columns + column]!)));
      const scale = Math.fround(largest / 127);
      scales[row * blocks + block] = scale;
      if (scale === 0) continue;
      for (let column = begin; column < end; column++)
        values[row * stride + column] = Math.round(widen(data[row * columns + column]!) / scale);
    }
  }
  return { values: bytesOf(values), scales: bytesOf(scales) };
}

function bytesOf(array: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function identity(value: number): number {
  return value;
}
