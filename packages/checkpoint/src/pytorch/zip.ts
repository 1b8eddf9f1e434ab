/**
 * Reads the entries of a zip archive of the form that PyTorch writes: uncompressed, in one file, of any size (zip64).
 * The directory is at the end. Each entry's bytes follow a header whose length is known only after reading it.
 */
import { MambaError } from '@mamba/core';
import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';

export interface ZipEntry {
  readonly size: number;
  /**
   * The offset of the first byte in the file.
   * @throws MambaError `invalid-file` where the entry's header is wrong.
   */
  start(): Promise<number>;
}

const END = 0x06054b50;
const END_SIZE = 22;
const MAX_COMMENT = 2 ** 16;
const LOCATOR = 0x07064b50;
const LOCATOR_SIZE = 20;
const END_64 = 0x06064b50;
const END_64_SIZE = 56;
const DIRECTORY = 0x02014b50;
const DIRECTORY_SIZE = 46;
const LOCAL = 0x04034b50;
const LOCAL_SIZE = 30;
/** Largest size of the directory in bytes, some 500,000 entries. */
const MAX_DIRECTORY = 2 ** 26;

/**
 * Reads the directory of an archive.
 * @throws MambaError `invalid-file` where it is no such archive, `unsupported` where entries are compressed or
 * encrypted.
 */
export async function readZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const { offset, size, count } = await findDirectory(source);
  if (size > MAX_DIRECTORY || offset + size > source.size)
    throw damaged(source.name, `a directory of ${size} bytes at ${offset}`, `one within ${source.size} bytes`, CUT_OFF);
  const bytes = await source.read(offset, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + DIRECTORY_SIZE > size || view.getUint32(at, true) !== DIRECTORY)
      throw damaged(source.name, `a directory that ends after ${index} entries`, `${count} entries`, CUT_OFF);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + DIRECTORY_SIZE + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > size) throw damaged(source.name, 'an entry beyond the directory', 'one within it', CUT_OFF);
    const name = new TextDecoder().decode(bytes.subarray(at + DIRECTORY_SIZE, at + DIRECTORY_SIZE + nameLength));
    if (entries.has(name)) throw damaged(source.name, `the entry ${quote(name)} twice`, 'every entry once');
    entries.set(name, parseEntry(source, name, view, at, nameLength, extraLength));
    at = next;
  }
  return entries;
}

const CUT_OFF = 'It is cut off or damaged; fetch it again.';

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const length = Math.min(source.size, END_SIZE + MAX_COMMENT + LOCATOR_SIZE);
  const first = source.size - length;
  const tail = await source.read(first, length);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  let end = length - END_SIZE;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw damaged(source.name, 'no directory at its end', 'a whole zip archive', CUT_OFF);
  const plain = {
    count: view.getUint16(end + 10, true),
    size: view.getUint32(end + 12, true),
    offset: view.getUint32(end + 16, true),
  };
  const located = end - LOCATOR_SIZE;
  if (located < 0 || view.getUint32(located, true) !== LOCATOR) return plain;
  const place = Number(view.getBigUint64(located + 8, true));
  if (!(place + END_64_SIZE <= first + located))
    throw damaged(source.name, `a directory's end at ${place}`, 'one within the file', CUT_OFF);
  const zip64 = await source.read(place, END_64_SIZE);
  const zip64View = new DataView(zip64.buffer, zip64.byteOffset, zip64.byteLength);
  if (zip64View.getUint32(0, true) !== END_64)
    throw damaged(source.name, 'another thing where the directory ends', 'the end of a zip64 directory', CUT_OFF);
  return {
    count: Number(zip64View.getBigUint64(32, true)),
    size: Number(zip64View.getBigUint64(40, true)),
    offset: Number(zip64View.getBigUint64(48, true)),
  };
}

function parseEntry(
  source: ByteSource,
  name: string,
  view: DataView,
  at: number,
  nameLength: number,
  extraLength: number,
): ZipEntry {
  const origin = `${source.name}: ${quote(name)}`;
  const encrypted = (view.getUint16(at + 8, true) & 1) !== 0;
  if (encrypted || view.getUint16(at + 10, true) !== 0)
    throw new MambaError('unsupported', `${origin} cannot be read`, {
      origin,
      given: encrypted ? 'an encrypted entry' : 'a compressed entry',
      expected: 'entries stored as they are, as PyTorch writes them',
      remedy: 'Save the checkpoint again with torch.save, or as safetensors.',
    });
  const extra = at + DIRECTORY_SIZE + nameLength;
  const zip64 = zip64Fields(view, extra, extra + extraLength);
  const take = (field: number): number => {
    const value = view.getUint32(at + field, true);
    return value === 0xffffffff ? (zip64.next() ?? value) : value;
  };
  // The 64-bit fields follow each other in this order.
  const size = take(24);
  const stored = take(20);
  const header = take(42);
  if (size !== stored || header + LOCAL_SIZE + size > source.size)
    throw damaged(origin, `${size} bytes after ${header}`, `an entry within ${source.size} bytes`, CUT_OFF);
  let start: Promise<number> | undefined;
  return {
    size,
    start() {
      start ??= findStart(source, origin, header, size);
      return start;
    },
  };
}

/** Reads the 64-bit fields of a zip64 extra, one after the other. */
function zip64Fields(view: DataView, start: number, end: number): { next(): number | undefined } {
  let at = start;
  while (at + 4 <= end && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true);
  const last = at + 4 <= end ? Math.min(at + 4 + view.getUint16(at + 2, true), end) : at;
  at += 4;
  return {
    next() {
      if (at + 8 > last) return undefined;
      at += 8;
      return Number(view.getBigUint64(at - 8, true));
    },
  };
}

async function findStart(source: ByteSource, origin: string, header: number, size: number): Promise<number> {
  const bytes = await source.read(header, LOCAL_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== LOCAL) throw damaged(origin, 'no header before its bytes', 'one', CUT_OFF);
  const start = header + LOCAL_SIZE + view.getUint16(26, true) + view.getUint16(28, true);
  if (start + size > source.size)
    throw damaged(origin, `${size} bytes from ${start}`, `an entry within ${source.size} bytes`, CUT_OFF);
  return start;
}
