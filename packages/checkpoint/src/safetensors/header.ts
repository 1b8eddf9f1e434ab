/**
 * Parses the header of a safetensors file. The format: 8 bytes little-endian header length, a JSON object name → {
 * dtype, shape, data_offsets: [begin, end] } with an optional `__metadata__` of strings, then the data. Offsets count
 * from the data's start; tensors fill it without overlap or hole.
 */
import type { Shape } from '@mamba/core';
import { damaged, quote, show } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { parseJson } from '../io/json.ts';
import { bitsOf, dtypeNames } from './dtypes.ts';
import type { TensorInfo } from './file.ts';

/** Largest size of a header in bytes, as in the reference implementation. */
const MAX_HEADER = 100_000_000;
/** A tensor is nine values, or so: for some 100,000 of them. */
const BOUNDS = { depth: 8, values: 2 ** 20 };
const KEYS = ['dtype', 'shape', 'data_offsets'];

export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The offset of the data in the file. */
  readonly dataStart: number;
}

/**
 * Reads and checks the header.
 * @throws MambaError `invalid-file` at the first violation of the format.
 */
export async function parseHeader(source: ByteSource): Promise<Header> {
  const { name, size } = source;
  if (size < 8) throw damaged(name, `${size} bytes`, 'at least 8', 'It is cut off, or not safetensors.');
  const start = await source.read(0, 8);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER || length + 8n > size) {
    throw damaged(
      name,
      `a header of ${length} bytes in a file of ${size}`,
      `at most ${Math.min(MAX_HEADER, size - 8)}`,
      'It is cut off, or not safetensors.',
    );
  }
  const dataStart = 8 + Number(length);
  const header = parseJson(`${name}: header`, await source.read(8, Number(length)), BOUNDS);
  if (!isObject(header)) throw damaged(`${name}: header`, show(header), 'a JSON object');

  const tensors = new Map<string, TensorInfo>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [key, entry] of Object.entries(header)) {
    if (key === '__metadata__') metadata = parseMetadata(name, entry);
    else tensors.set(key, parseTensor(`${name}: tensor ${quote(key)}`, entry, size - dataStart));
  }
  checkLayout(name, tensors, size - dataStart);
  return { tensors, metadata, dataStart };
}

function parseMetadata(name: string, entry: unknown): ReadonlyMap<string, string> {
  const origin = `${name}: __metadata__`;
  if (!isObject(entry)) throw damaged(origin, show(entry), 'an object of strings');
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value !== 'string') throw damaged(`${origin}.${quote(key)}`, show(value), 'a string');
    metadata.set(key, value);
  }
  return metadata;
}

function parseTensor(origin: string, entry: unknown, dataSize: number): TensorInfo {
  if (!isObject(entry)) throw damaged(origin, show(entry), 'an object of dtype, shape and data_offsets');
  const unknown = Object.keys(entry).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw damaged(origin, `the field ${quote(unknown)}`, `only ${KEYS.join(', ')}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const bits = typeof dtype === 'string' ? bitsOf(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined)
    throw damaged(origin, `dtype ${show(dtype)}`, `one of ${dtypeNames()}`);
  if (!isSizes(shape)) throw damaged(origin, `shape ${show(shape)}`, 'a list of integers of at least 0');
  if (!isSizes(offsets) || offsets.length !== 2)
    throw damaged(origin, `data_offsets ${show(offsets)}`, 'two integers of at least 0');
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataSize)
    throw damaged(
      origin,
      `data_offsets [${begin}, ${end}]`,
      `begin ≤ end ≤ ${dataSize}, the bytes that follow the header`,
    );
  const bytes = shape.reduce((product, extent) => product * extent, bits) / 8;
  if (bytes !== end - begin)
    throw damaged(origin, `${end - begin} bytes`, `${bytes}, for ${dtype} [${shape.join(', ')}]`);
  return { dtype, shape, begin, end };
}

function checkLayout(name: string, tensors: ReadonlyMap<string, TensorInfo>, dataSize: number): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const [key, { begin, end }] of inOrder) {
    if (begin !== position) {
      const what =
        begin < position ? 'the bytes of another tensor as well' : `a hole of ${begin - position} bytes before it`;
      throw damaged(`${name}: tensor ${quote(key)}`, `${what} (it begins at ${begin})`, `begin ${position}`);
    }
    position = end;
  }
  if (position !== dataSize)
    throw damaged(
      name,
      `${dataSize} bytes of data`,
      `${position}, the end of the last tensor`,
      'It is damaged; fetch it again.',
    );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is Shape {
  return Array.isArray(value) && value.length <= 64 && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
