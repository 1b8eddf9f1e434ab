import type { Shape } from '@mamba/core';
import { joinBytes } from '../io/byte-sink.ts';
import type { TypedValue } from './metadata.ts';
import { type GgufType, typeId } from './types.ts';

export interface HeaderTensor {
  readonly name: string;
  readonly type: GgufType;
  readonly shape: Shape;
  /** The offset from the start of the data. */
  readonly offset: number;
  readonly bytes: number;
}

/** Encodes a GGUF header of version 3, padded to the start of the data. */
export function encodeHeader(
  metadata: readonly (readonly [string, TypedValue])[],
  tensors: readonly HeaderTensor[],
  alignment: number,
): Uint8Array {
  const pieces: Uint8Array[] = [new TextEncoder().encode('GGUF'), uint32(3), uint64(tensors.length)];
  pieces.push(uint64(metadata.length));
  for (const [key, value] of metadata) pieces.push(...string(key), ...encodeValue(value));
  for (const { name, type, shape, offset } of tensors) {
    pieces.push(...string(name), uint32(shape.length), ...shape.toReversed().map(uint64));
    pieces.push(uint32(typeId(type)), uint64(offset));
  }
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  pieces.push(new Uint8Array(Math.ceil(size / alignment) * alignment - size));
  return joinBytes('header', pieces);
}

const TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

function encodeValue(entry: TypedValue): readonly Uint8Array[] {
  switch (entry.type) {
    case 'int32[]':
      return [uint32(TYPES.array), uint32(TYPES.int32), uint64(entry.value.length), ...entry.value.map(int32)];
    case 'string[]':
      return [uint32(TYPES.array), uint32(TYPES.string), uint64(entry.value.length), ...entry.value.flatMap(string)];
    case 'string':
      return [uint32(TYPES.string), ...string(entry.value)];
    case 'bool':
      return [uint32(TYPES.bool), new Uint8Array([entry.value ? 1 : 0])];
    case 'float32':
      return [uint32(TYPES.float32), encoded(4, (view) => view.setFloat32(0, entry.value, true))];
    case 'int32':
      return [uint32(TYPES.int32), int32(entry.value)];
    case 'uint32':
      return [uint32(TYPES.uint32), uint32(entry.value)];
  }
}

const uint32 = (value: number): Uint8Array => encoded(4, (view) => view.setUint32(0, value, true));
const int32 = (value: number): Uint8Array => encoded(4, (view) => view.setInt32(0, value, true));
const uint64 = (value: number): Uint8Array => encoded(8, (view) => view.setBigUint64(0, BigInt(value), true));

function string(text: string): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  return [uint64(bytes.length), bytes];
}

function encoded(length: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  set(new DataView(bytes.buffer));
  return bytes;
}
