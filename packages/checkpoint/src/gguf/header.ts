/**
 * Parses the header of a GGUF file. The format (ggml's specification of GGUF), all little-endian: "GGUF", uint32
 * version, uint64 number of tensors, uint64 number of metadata; the metadata as key, uint32 type, value; the tensors as
 * name, uint32 rank, uint64 extents (fastest first), uint32 type, uint64 offset; then the data, from the next multiple
 * of the alignment on, to which every offset is aligned too. A string is uint64 length and UTF-8; an array uint32 type,
 * uint64 length and its values.
 */
import { MambaError, type Shape, sizeOf } from '@mamba/core';
import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import type { TensorInfo } from '../safetensors/file.ts';
import { Cursor } from './cursor.ts';
import type { GgufValue } from './metadata.ts';
import { BLOCKS, isReadable, readableTypes, typeName } from './types.ts';

/** Largest size of a header in bytes. The largest ones, tens of megabytes, hold vocabularies. */
const MAX_HEADER = 2 ** 28;
/** Largest length of an array. No vocabulary and no list of merges is longer. */
const MAX_LENGTH = 2 ** 22;
/** Largest number of metadata entries and of tensors, far more than any model has. */
const MAX_COUNT = 2 ** 17;
const MAX_RANK = 4;
const MAX_ALIGNMENT = 2 ** 16;

export interface GgufHeader {
  readonly version: number;
  readonly alignment: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** The tensors by name. Shapes have the fastest axis last, as everywhere in these packages. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The offset of the data in the file. */
  readonly dataStart: number;
}

/**
 * Reads and checks the header.
 * @throws MambaError `invalid-file` at the first violation of the format, `unsupported` for other versions.
 */
export async function parseGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const { name } = source;
  const cursor = new Cursor(source, MAX_HEADER);
  await cursor.fill(24, name);
  if (cursor.uint32() !== 0x46554747) throw damaged(name, 'other first bytes', '"GGUF"', 'It is another kind of file.');
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) throw wrongVersion(name, version);
  const tensorCount = cursor.uint64();
  const keyCount = cursor.uint64();
  // An entry takes at least 8 bytes of key, 4 of type and one of value; a tensor's 8, 4, 4 and 8.
  checkCount(`${name}: number of metadata`, keyCount, cursor.remaining, 13);
  checkCount(`${name}: number of tensors`, tensorCount, cursor.remaining, 24);
  for (const count of [keyCount, tensorCount])
    if (count > MAX_COUNT) throw damaged(name, `${count} metadata or tensors`, `at most ${MAX_COUNT} of either`);
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < keyCount; index++) {
    const key = await readString(`${name}: a metadata key`, cursor);
    if (metadata.has(key)) throw damaged(name, `the key ${quote(key)} twice`, 'every key once');
    metadata.set(key, await readValue(`${name}: ${quote(key)}`, cursor));
  }
  const alignment = parseAlignment(name, metadata);
  const entries: Entry[] = [];
  for (let index = 0; index < tensorCount; index++) entries.push(await readTensor(name, cursor, alignment));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { version, alignment, metadata, tensors: layOut(name, entries, source.size - dataStart), dataStart };
}

interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Shape;
  readonly begin: number;
  /** The number of bytes; undefined where the blocks of the type are unknown. */
  readonly bytes: number | undefined;
}

function wrongVersion(name: string, version: number): MambaError {
  const swapped = (version & 0xffff) === 0 && version !== 0;
  return new MambaError('unsupported', `${name} is of a version that cannot be read`, {
    origin: name,
    given: swapped ? 'big-endian GGUF' : `GGUF version ${version}`,
    expected: 'version 2 or 3, little-endian',
    remedy: 'Convert the model again with a current converter.',
  });
}

function checkCount(origin: string, count: bigint, remaining: number, smallest: number): void {
  if (count * BigInt(smallest) > remaining)
    throw damaged(origin, String(count), `at most ${Math.max(0, Math.floor(remaining / smallest))}, for its size`);
}

function parseAlignment(name: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get('general.alignment') ?? 32;
  if (typeof value === 'number' && value >= 1 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value)))
    return value;
  throw damaged(`${name}: "general.alignment"`, String(value), `a power of two up to ${MAX_ALIGNMENT}`);
}

// Not the decoder of Buffer, which replaces invalid UTF-8. A leading U+FEFF is part of a token.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

async function readString(origin: string, cursor: Cursor): Promise<string> {
  if (!cursor.has(8)) await cursor.fill(8, origin);
  const length = Number(cursor.uint64());
  if (!cursor.has(length)) await cursor.fill(length, origin);
  try {
    return utf8.decode(cursor.bytes(length));
  } catch (cause) {
    throw damaged(origin, 'bytes that are not UTF-8', 'UTF-8', undefined, cause);
  }
}

type Scalar = number | bigint | boolean;

/** The width in bytes and the reader of each type of value that is not a string or an array. */
const SCALARS: ReadonlyMap<number, { width: number; get(view: DataView, offset: number): Scalar }> = new Map([
  [0, { width: 1, get: (view, offset) => view.getUint8(offset) }],
  [1, { width: 1, get: (view, offset) => view.getInt8(offset) }],
  [2, { width: 2, get: (view, offset) => view.getUint16(offset, true) }],
  [3, { width: 2, get: (view, offset) => view.getInt16(offset, true) }],
  [4, { width: 4, get: (view, offset) => view.getUint32(offset, true) }],
  [5, { width: 4, get: (view, offset) => view.getInt32(offset, true) }],
  [6, { width: 4, get: (view, offset) => view.getFloat32(offset, true) }],
  [7, { width: 1, get: (view, offset) => bool(view.getUint8(offset)) }],
  [10, { width: 8, get: (view, offset) => narrow(view.getBigUint64(offset, true)) }],
  [11, { width: 8, get: (view, offset) => narrow(view.getBigInt64(offset, true)) }],
  [12, { width: 8, get: (view, offset) => view.getFloat64(offset, true) }],
]);
const STRING = 8;
const ARRAY = 9;

async function readValue(origin: string, cursor: Cursor): Promise<GgufValue> {
  if (!cursor.has(4)) await cursor.fill(4, origin);
  const type = cursor.uint32();
  if (type === STRING) return readString(origin, cursor);
  if (type !== ARRAY) return (await readScalars(origin, cursor, type, 1))[0]!;
  if (!cursor.has(12)) await cursor.fill(12, origin);
  const element = cursor.uint32();
  const length = cursor.uint64();
  checkCount(`${origin}: length`, length, cursor.remaining, element === STRING ? 8 : 1);
  if (length > MAX_LENGTH) throw damaged(`${origin}: length`, String(length), `at most ${MAX_LENGTH}`);
  if (element !== STRING) return readScalars(origin, cursor, element, Number(length));
  const strings: string[] = [];
  for (let index = 0; index < length; index++) strings.push(await readString(origin, cursor));
  return strings;
}

async function readScalars(origin: string, cursor: Cursor, type: number, length: number): Promise<Scalar[]> {
  const scalar = SCALARS.get(type);
  // Arrays of arrays are refused, as in ggml.
  if (scalar === undefined)
    throw damaged(origin, type === ARRAY ? 'an array of arrays' : `the type ${type}`, 'a type of GGUF');
  const size = length * scalar.width;
  if (!cursor.has(size)) await cursor.fill(size, origin);
  const bytes = cursor.bytes(size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  try {
    return Array.from({ length }, (_, index) => scalar.get(view, index * scalar.width));
  } catch (cause) {
    throw damaged(origin, (cause as Error).message, 'bools of 0 or 1', undefined, cause);
  }
}

function bool(byte: number): boolean {
  if (byte > 1) throw new RangeError(`a bool of ${byte}`);
  return byte === 1;
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

async function readTensor(file: string, cursor: Cursor, alignment: number): Promise<Entry> {
  const name = await readString(`${file}: a tensor's name`, cursor);
  const origin = `${file}: tensor ${quote(name)}`;
  if (!cursor.has(4)) await cursor.fill(4, origin);
  const rank = cursor.uint32();
  if (rank > MAX_RANK) throw damaged(origin, `${rank} axes`, `at most ${MAX_RANK}`);
  if (!cursor.has(rank * 8 + 12)) await cursor.fill(rank * 8 + 12, origin);
  const extents = Array.from({ length: rank }, () => Number(cursor.uint64()));
  const shape = extents.toReversed();
  const id = cursor.uint32();
  const offset = cursor.uint64();
  const dtype = typeName(id);
  if (dtype === undefined) throw damaged(origin, `the type ${id}`, `a type of ggml; read are ${readableTypes()}`);
  if (!(shape.every((extent) => extent >= 1) && Number.isSafeInteger(sizeOf(shape))))
    throw damaged(origin, `the shape [${shape.join(', ')}]`, 'extents of at least 1 that a file can hold');
  const begin = Number(offset);
  if (begin % alignment !== 0) throw damaged(origin, `the offset ${offset}`, `a multiple of ${alignment}`);
  return { name, dtype, shape, begin, bytes: sizeInBytes(origin, dtype, shape) };
}

function sizeInBytes(origin: string, dtype: string, shape: Shape): number | undefined {
  if (!isReadable(dtype)) return undefined;
  const { elements, bytes } = BLOCKS[dtype];
  const row = shape.at(-1) ?? 1;
  if (row % elements !== 0)
    throw damaged(origin, `rows of ${row} as ${dtype}`, `a multiple of ${elements}, which are one block`);
  return (sizeOf(shape) / elements) * bytes;
}

/**
 * Checks that no two tensors share bytes and that none ends after the data. A tensor of a type with unknown blocks ends
 * where the next one begins.
 */
function layOut(file: string, entries: readonly Entry[], dataSize: number): ReadonlyMap<string, TensorInfo> {
  const inOrder = [...entries].sort((a, b) => a.begin - b.begin);
  const ends = new Map<Entry, number>();
  for (const [index, entry] of inOrder.entries()) {
    const limit = inOrder[index + 1]?.begin ?? Math.max(dataSize, 0);
    const end = entry.bytes === undefined ? limit : entry.begin + entry.bytes;
    if (end > limit || entry.begin >= dataSize) {
      const what = end > dataSize || entry.begin >= dataSize ? `the end of the data, ${dataSize}` : `${limit}`;
      throw damaged(
        `${file}: tensor ${quote(entry.name)}`,
        `the bytes from ${entry.begin} to ${end}`,
        `an end before ${what}`,
        'The file is cut off or damaged; fetch it again.',
      );
    }
    ends.set(entry, end);
  }
  const tensors = new Map<string, TensorInfo>();
  for (const entry of entries) {
    const { name, dtype, shape, begin } = entry;
    if (tensors.has(name)) throw damaged(file, `the tensor ${quote(name)} twice`, 'every name once');
    tensors.set(name, { dtype, shape, begin, end: ends.get(entry)! });
  }
  return tensors;
}
