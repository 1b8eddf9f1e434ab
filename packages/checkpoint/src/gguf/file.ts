import { type HostRows, type HostTensor, isMambaError, MambaError, sizeOf } from '@mamba/core';
import { damaged, quote } from '../errors.ts';
import { hostRows } from '../host-rows.ts';
import type { ByteSource } from '../io/byte-source.ts';
import type { TensorInfo } from '../safetensors/file.ts';
import { dequantize } from './dequantize.ts';
import { parseGgufHeader } from './header.ts';
import type { GgufValue } from './metadata.ts';
import { isQuantized, isReadable, readableTypes } from './types.ts';

/** A GGUF file whose header is read and checked. Tensors are read on demand. */
export interface GgufFile {
  /** The name of the file, for messages. */
  readonly name: string;
  readonly version: number;
  readonly alignment: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** The tensors by name. `dtype` is ggml's name (`Q4_K`); shapes have the fastest axis last. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Reads a tensor: F32, F16 and BF16 as they are stored, quantised types as float32. The values may be a view of a
   * source in memory; do not write to them.
   * @throws MambaError `invalid-argument` (no such tensor), `unsupported` (another type), and any error of the source.
   */
  read(tensor: string): Promise<HostTensor>;
  /** A matrix to be read some rows at a time; only their bytes are read. Throws the errors of `read` synchronously. */
  rows(tensor: string): HostRows;
  /** The stored bytes of a tensor, for example blocks for a backend that computes with them. They may be a view. */
  readRaw(tensor: string): Promise<{ readonly type: string; readonly bytes: Uint8Array }>;
  /** Closes the file. Reading from it afterwards fails. */
  close(): Promise<void>;
}

/**
 * Opens a GGUF file: reads and checks its header. The file owns the source and closes it; if opening fails, the source
 * is closed.
 * @throws MambaError `invalid-file` where the header is wrong, `unsupported` for a version or byte order, and any error
 * of the source.
 */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  try {
    const { version, alignment, metadata, tensors, dataStart } = await parseGgufHeader(source);
    const info = (tensor: string): TensorInfo => {
      const found = tensors.get(tensor);
      if (found !== undefined) return found;
      throw new MambaError('invalid-argument', `${source.name} has no tensor ${quote(tensor)}`, {
        origin: source.name,
      });
    };
    const bytesOf = ({ begin, end }: TensorInfo): Promise<Uint8Array> => source.read(dataStart + begin, end - begin);
    return {
      name: source.name,
      version,
      alignment,
      metadata,
      tensors,
      async read(tensor) {
        const found = info(tensor);
        checkReadable(`${source.name}: tensor ${quote(tensor)}`, found.dtype);
        return hostTensor(found, await bytesOf(found));
      },
      rows(tensor) {
        const origin = `${source.name}: tensor ${quote(tensor)}`;
        const { dtype, shape, begin, end } = info(tensor);
        checkReadable(origin, dtype);
        // A row consists of whole blocks.
        const size = (end - begin) / shape[0]!;
        return hostRows(origin, { dtype: READ_AS.get(dtype) ?? 'float32', shape }, async (first, count) => {
          const bytes = await source.read(dataStart + begin + first * size, count * size);
          return hostTensor({ dtype, shape: [count, shape[1]!] }, bytes);
        });
      },
      async readRaw(tensor) {
        const found = info(tensor);
        return { type: found.dtype, bytes: await bytesOf(found) };
      },
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    if (isMambaError(error)) throw error;
    throw damaged(source.name, String(error), 'a GGUF file', undefined, error);
  }
}

/** The types that are read as they are stored; all others become float32. */
const READ_AS: ReadonlyMap<string, 'float16' | 'bfloat16'> = new Map([
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
]);

export function checkReadable(origin: string, dtype: string): void {
  if (isReadable(dtype)) return;
  throw new MambaError('unsupported', `${origin} has a type that cannot be read`, {
    origin,
    given: dtype,
    expected: `one of ${readableTypes()}`,
    remedy: 'Quantise the model to one of these.',
  });
}

function hostTensor({ dtype, shape }: Pick<TensorInfo, 'dtype' | 'shape'>, bytes: Uint8Array): HostTensor {
  const size = sizeOf(shape);
  const width = dtype === 'F32' ? 4 : 2;
  // Typed arrays need aligned views. Not slice(), which does not copy a Buffer of Node.
  const { buffer, byteOffset } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  if (dtype === 'F32') return { dtype: 'float32', shape, data: new Float32Array(buffer, byteOffset, size) };
  const half = READ_AS.get(dtype);
  if (half !== undefined) return { dtype: half, shape, data: new Uint16Array(buffer, byteOffset, size) };
  const data = new Float32Array(size);
  if (isReadable(dtype) && isQuantized(dtype)) dequantize(dtype, bytes, data);
  return { dtype: 'float32', shape, data };
}
