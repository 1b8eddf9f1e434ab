import type { HostTensor } from '@mamba/core';
import { copyFloats, narrowFloats } from '@mamba/core/driver';
import { type Format, hasScales, rowBytes } from '../storage.ts';
import { dequantised, quantised } from './blocks.ts';

/** Encoded rows of a host matrix: the stored values, and the scales of q8 and q4. */
export interface Encoded {
  readonly values: Uint8Array<ArrayBuffer>;
  readonly scales: Uint8Array<ArrayBuffer> | undefined;
}

export function encodeRows(host: HostTensor, format: Format, columns: number, first: number, rows: number): Encoded {
  const data = host.data.subarray(first * columns, (first + rows) * columns);
  const piece = { ...host, data } as HostTensor;
  if (hasScales(format)) return quantised(toFloat32(piece), format, columns, rows);
  if (format === 'int32' || format === 'float32')
    return { values: bytesOf(format === host.dtype ? data : toFloat32(piece)), scales: undefined };
  const words = toWords(piece, format);
  const stride = rowBytes(format, columns) / 2;
  if (stride === columns) return { values: bytesOf(words), scales: undefined };
  const padded = new Uint16Array(rows * stride);
  for (let row = 0; row < rows; row++) padded.set(words.subarray(row * columns, (row + 1) * columns), row * stride);
  return { values: bytesOf(padded), scales: undefined };
}

/** Decodes rows to floats, as `read` returns them. */
export function decodeRows(
  values: ArrayBuffer,
  scales: ArrayBuffer | undefined,
  format: Exclude<Format, 'int32'>,
  columns: number,
  rows: number,
): Float32Array<ArrayBuffer> {
  if (format === 'float32') return new Float32Array(values, 0, rows * columns);
  if (hasScales(format)) return dequantised(new Int8Array(values), new Uint16Array(scales!), format, columns, rows);
  const result = new Float32Array(rows * columns);
  const stride = rowBytes(format, columns) / 2;
  for (let row = 0; row < rows; row++) {
    const data = new Uint16Array(values, 2 * row * stride, columns);
    copyFloats({ dtype: format, shape: [columns], data }, result.subarray(row * columns, (row + 1) * columns));
  }
  return result;
}

function bytesOf(array: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

/** The floats of a host tensor as float32. */
function toFloat32(host: HostTensor): Float32Array {
  if (host.dtype === 'float32') return host.data;
  const result = new Float32Array(host.data.length);
  copyFloats(host, result);
  return result;
}

/** The floats of a host tensor in 16 bits: its own where they have the format. */
function toWords(host: HostTensor, format: 'float16' | 'bfloat16'): Uint16Array {
  if (host.dtype === format) return host.data;
  const words = new Uint16Array(host.data.length);
  narrowFloats(host.dtype === 'float64' ? host.data : toFloat32(host), words, format);
  return words;
}
