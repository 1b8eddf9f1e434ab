/** Files of tokens, which are read in pieces and need not fit into memory. */
import type { ByteSource, SafetensorsFile } from '@mamba/checkpoint';
import { invalid, MambaError } from '@mamba/core';

/** Tokens that can be read in any order. A source is a document, or several one after another. */
export interface TokenSource {
  /** The name, for messages. */
  readonly name: string;
  /** Number of tokens. */
  readonly length: number;
  /** The ids `[start, start + count)`. @throws the errors of the file. */
  read(start: number, count: number): Promise<Int32Array>;
  /** Closes the file, if there is one. */
  close(): Promise<void>;
}

/** The vocabulary of `byteTokens`: the bytes, and the token that ends a document. */
export const BYTE_VOCABULARY = 257;
/** The token that ends a document of `byteTokens`. */
export const BYTE_END = 256;

/** The bytes of a file as tokens, followed by the token 256, which ends the document. The source closes the file. */
export function byteTokens(file: ByteSource): TokenSource {
  const { name, size } = file;
  return {
    name,
    length: size + 1,
    async read(start, count) {
      const ids = new Int32Array(count).fill(BYTE_END);
      ids.set(await file.read(start, Math.min(start + count, size) - start));
      return ids;
    },
    close: () => file.close(),
  };
}

/** The integers of a file of tokens, little-endian. */
export type TokenType = 'uint16' | 'uint32';

/**
 * A file of little-endian integers, one a token, without a header. The source closes the file.
 * @throws MambaError `invalid-file` where the size is no multiple of a token's.
 */
export function binaryTokens(file: ByteSource, type: TokenType): TokenSource {
  const { name, size } = file;
  const width = type === 'uint16' ? 2 : 4;
  if (size % width !== 0)
    throw new MambaError('invalid-file', `${name} holds no ${type} tokens`, {
      origin: name,
      given: `${size} bytes`,
      expected: `a multiple of ${width}`,
    });
  return {
    name,
    length: size / width,
    read: async (start, count) => decode(name, await file.read(start * width, count * width), type),
    close: () => file.close(),
  };
}

const STORED = { U8: 'uint8', U16: 'uint16', I32: 'int32', U32: 'uint32', I64: 'int64' } as const;
const WIDTHS = { uint8: 1, uint16: 2, int32: 4, uint32: 4, int64: 8 } as const;

/**
 * A tensor of ids in a safetensors file: U8, U16, I32, U32 or I64 of any shape, row by row. The source closes the file.
 * @param tensor The name of the tensor. Default: the only one of the file.
 * @throws MambaError `invalid-argument` where there is no such tensor, `invalid-file` for another dtype.
 */
export function safetensorsTokens(file: SafetensorsFile, tensor?: string | undefined): TokenSource {
  const names = [...file.tensors.keys()];
  const name = tensor ?? names[0];
  const info = name === undefined ? undefined : file.tensors.get(name);
  if (info === undefined || (tensor === undefined && names.length > 1))
    throw invalid(
      `${file.name}: the tensor of ids`,
      tensor ?? 'no name',
      `one of ${names.slice(0, 8).join(', ') || 'none'}`,
    );
  const type = STORED[info.dtype as keyof typeof STORED];
  const origin = `${file.name}: ${name}`;
  if (type === undefined)
    throw new MambaError('invalid-file', `${origin} holds no tokens`, {
      origin,
      given: info.dtype,
      expected: Object.keys(STORED).join(', '),
    });
  const width = WIDTHS[type];
  return {
    name: origin,
    length: (info.end - info.begin) / width,
    read: async (start, count) =>
      decode(origin, await file.readBytes(name!, start * width, (start + count) * width), type),
    close: () => file.close(),
  };
}

/** Every platform of JavaScript is little-endian, as these files are. */
function decode(origin: string, bytes: Uint8Array, type: keyof typeof WIDTHS): Int32Array {
  // A copy is aligned.
  const { buffer } = new Uint8Array(bytes);
  if (type === 'uint8') return Int32Array.from(new Uint8Array(buffer));
  if (type === 'uint16') return Int32Array.from(new Uint16Array(buffer));
  const values = type === 'int64' ? new BigInt64Array(buffer) : new Uint32Array(buffer);
  return Int32Array.from(values as Iterable<number | bigint>, (value) => {
    if (value >= 0 && value < 2 ** 31) return Number(value);
    throw new MambaError('invalid-file', `${origin} holds no tokens`, {
      origin,
      given: `the id ${type === 'int32' ? Number(value) | 0 : value}`,
      expected: 'ids from 0 to 2^31 - 1',
    });
  });
}
