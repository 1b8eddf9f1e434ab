import { type HostTensor, type Shape, sizeOf } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';
import { allocate, quote } from '../errors.ts';
import { bitsOf } from './dtypes.ts';

/** A tensor with a dtype of the format and its bytes, for dtypes that a HostTensor does not have (I64, U8, …). */
export interface RawTensor {
  readonly dtype: string;
  readonly shape: Shape;
  readonly bytes: Uint8Array;
}

const NAMES = { float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', int32: 'I32' } as const;

/**
 * Encodes a safetensors file in memory. Tensors are ordered by decreasing element size, so that every one is aligned.
 * @throws MambaError `invalid-argument` where a tensor's shape and data disagree.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, HostTensor | RawTensor]>,
  metadata: Iterable<readonly [string, string]> = [],
): Uint8Array {
  const parts = [...tensors].map(([name, tensor]) => ({ name, ...raw(name, tensor) }));
  parts.sort((a, b) => bitsOf(b.dtype)! - bitsOf(a.dtype)!);
  const header: [string, unknown][] = [];
  const facts = [...metadata];
  if (facts.length > 0) header.push(['__metadata__', Object.fromEntries(facts)]);
  let size = 0;
  for (const { name, dtype, shape, bytes } of parts) {
    header.push([name, { dtype, shape, data_offsets: [size, size + bytes.length] }]);
    size += bytes.length;
  }
  if (new Set(parts.map(({ name }) => name)).size !== parts.length)
    throw invalid('writeSafetensors', 'a tensor name twice', 'every name once');
  const text = JSON.stringify(Object.fromEntries(header));
  const json = new TextEncoder().encode(text);
  const padded = Math.ceil(json.length / 8) * 8;
  const file = allocate('writeSafetensors', 8 + padded + size).fill(0x20, 8 + json.length, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  let offset = 8 + padded;
  for (const { bytes } of parts) {
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}

function raw(name: string, tensor: HostTensor | RawTensor): RawTensor {
  const { shape } = tensor;
  const { dtype, bytes } =
    'bytes' in tensor
      ? tensor
      : {
          dtype: NAMES[tensor.dtype],
          bytes: new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength),
        };
  const bits = bitsOf(dtype);
  if (bits === undefined || (sizeOf(shape) * bits) / 8 !== bytes.length || name === '__metadata__') {
    throw invalid(
      `writeSafetensors.${quote(name)}`,
      `${bytes.length} bytes as ${dtype} [${shape.join(', ')}]`,
      'a tensor whose shape, dtype and data agree',
    );
  }
  return { dtype, shape, bytes };
}
