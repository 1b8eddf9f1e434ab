import { type HostRows, type HostTensor, isMambaError, MambaError, type Shape, sizeOf } from '@mamba/core';
import { damaged, quote } from '../errors.ts';
import { hostRows } from '../host-rows.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { READABLE } from './dtypes.ts';
import { parseHeader } from './header.ts';

/** A tensor as the header describes it. */
export interface TensorInfo {
  /** The dtype by the format's name: `F32`, `BF16`, … */
  readonly dtype: string;
  readonly shape: Shape;
  /**
   * The offset of the first byte from the start of the data: of the tensor's own file where there are shards, of its
   * storage where the format has storages.
   */
  readonly begin: number;
  readonly end: number;
}

/**
 * A file of named tensors, which are read on demand: a safetensors file, several shards with an index, or a file of
 * PyTorch.
 */
export interface SafetensorsFile {
  /** The name of the file, for messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Reads a tensor: F64, F32, F16, BF16 and I32 as they are stored, I64 as int32. The values may be a view of a source
   * in memory; do not write to them.
   * @throws MambaError `invalid-argument` (no such tensor), `unsupported` (another dtype), `invalid-file` (an empty
   * tensor, an I64 beyond int32), and any error of the source.
   */
  read(tensor: string): Promise<HostTensor>;
  /**
   * A matrix of floats to be read some rows at a time; only their bytes are read. Throws the errors of `read`
   * synchronously.
   */
  rows(tensor: string): HostRows;
  /** Reads the stored bytes `[start, end)` of a tensor of any dtype, counted from its first byte. */
  readBytes(tensor: string, start?: number, end?: number): Promise<Uint8Array>;
  /** Optional. Whether two tensors are the same bytes of the file, where the format allows that. */
  isAlias?(a: string, b: string): boolean;
  /** Closes the file. Reading from it afterwards fails. */
  close(): Promise<void>;
}

/**
 * Opens a safetensors file: reads and checks its header. The file owns the source and closes it; if opening fails, the
 * source is closed.
 * @throws MambaError `invalid-file` where the header is wrong, and any error of the source.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    const { tensors, metadata, dataStart } = await parseHeader(source);
    return tensorFile({
      ...{ name: source.name, tensors, metadata, close: () => source.close() },
      readBytes: (_, { begin }, start, end) => source.read(dataStart + begin + start, end - start),
    });
  } catch (error) {
    await source.close();
    if (isMambaError(error)) throw error;
    throw damaged(source.name, String(error), 'a safetensors file', undefined, error);
  }
}

/** A file of tensors of any format, from a function that reads the bytes of a tensor. */
export function tensorFile(file: {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readBytes(tensor: string, info: TensorInfo, start: number, end: number): Promise<Uint8Array>;
  isAlias?(a: string, b: string): boolean;
  close(): Promise<void>;
}): SafetensorsFile {
  const { name, tensors, metadata } = file;
  const info = (tensor: string): TensorInfo => {
    const found = tensors.get(tensor);
    if (found !== undefined) return found;
    throw new MambaError('invalid-argument', `${name} has no tensor ${quote(tensor)}`, { origin: name });
  };
  const readBytes = async (tensor: string, start = 0, end?: number): Promise<Uint8Array> => {
    const found = info(tensor);
    return file.readBytes(tensor, found, start, end ?? found.end - found.begin);
  };
  return {
    name,
    tensors,
    metadata,
    readBytes,
    async read(tensor) {
      const origin = `${name}: tensor ${quote(tensor)}`;
      checkReadable(origin, info(tensor));
      return hostTensor(origin, info(tensor), await readBytes(tensor));
    },
    rows(tensor) {
      const origin = `${name}: tensor ${quote(tensor)}`;
      const found = info(tensor);
      checkReadable(origin, found);
      const { dtype, shape, begin, end } = found;
      const size = (end - begin) / shape[0]!;
      return hostRows(origin, { dtype: READABLE.get(dtype)!, shape }, async (first, count) => {
        const bytes = await readBytes(tensor, first * size, (first + count) * size);
        return hostTensor(origin, { dtype, shape: [count, shape[1]!] }, bytes);
      });
    },
    isAlias: (a, b) => file.isAlias?.(a, b) ?? false,
    close: () => file.close(),
  };
}

function checkReadable(origin: string, { dtype, shape }: TensorInfo): void {
  if (!READABLE.has(dtype)) {
    throw new MambaError('unsupported', `${origin} has a dtype that cannot be read`, {
      origin,
      given: dtype,
      expected: `one of ${[...READABLE.keys()].join(', ')}`,
      remedy: 'Save the checkpoint in one of these.',
    });
  }
  if (shape.includes(0)) throw damaged(origin, `the empty shape [${shape.join(', ')}]`, 'extents of at least 1');
}

function hostTensor(
  origin: string,
  { dtype, shape }: Pick<TensorInfo, 'dtype' | 'shape'>,
  bytes: Uint8Array,
): HostTensor {
  const size = sizeOf(shape);
  const width = dtype === 'F64' || dtype === 'I64' ? 8 : dtype === 'F32' || dtype === 'I32' ? 4 : 2;
  // Typed arrays need aligned views. Sources that allocate return aligned bytes, but a view of a file in memory may be
  // unaligned. Not slice(), which does not copy a Buffer of Node.
  const { buffer, byteOffset } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  switch (dtype) {
    case 'F64':
      return { dtype: 'float64', shape, data: new Float64Array(buffer, byteOffset, size) };
    case 'F32':
      return { dtype: 'float32', shape, data: new Float32Array(buffer, byteOffset, size) };
    case 'I32':
      return { dtype: 'int32', shape, data: new Int32Array(buffer, byteOffset, size) };
    case 'I64':
      return { dtype: 'int32', shape, data: narrow(origin, new BigInt64Array(buffer, byteOffset, size)) };
    default: {
      const data = new Uint16Array(buffer, byteOffset, size);
      return { dtype: dtype === 'F16' ? 'float16' : 'bfloat16', shape, data };
    }
  }
}

function narrow(origin: string, values: BigInt64Array): Int32Array {
  const narrowed = new Int32Array(values.length);
  for (const [index, value] of values.entries()) {
    narrowed[index] = Number(value);
    if (BigInt(narrowed[index]!) !== value)
      throw damaged(origin, `the I64 value ${value} at ${index}`, 'values that fit 32 bits');
  }
  return narrowed;
}
