/** GGUF files that are split into parts, as llama-gguf-split makes them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesSource, ggufParts, openCheckpoint, openGguf } from '../src/index.ts';
import { converted, expectSameParameters, join, RawGguf, string, u32 } from './gguf-helpers.ts';
import { expectError, memoryStore } from './helpers.ts';

type Facts = { readonly count?: number; readonly number?: number; readonly tensors?: number };

const name = (part: number, count = 3): string => `tiny-0000${part}-of-0000${count}.gguf`;
const TYPES: Readonly<Record<string, number>> = { F32: 0, F16: 1 };

/**
 * Splits a file into parts with these numbers of tensors. The first part has the metadata. `lies` replaces entries
 * about the split.
 */
async function split(
  whole: Uint8Array,
  counts: readonly number[],
  lies: Readonly<Record<number, Facts>> = {},
): Promise<Uint8Array[]> {
  const file = await openGguf(bytesSource(whole));
  const names = [...file.tensors.keys()];
  const start = Buffer.from(whole).indexOf(Buffer.from(string(names[0]!)));
  const parts: Uint8Array[] = [];
  let next = 0;
  for (const [index, count] of counts.entries()) {
    const raw = new RawGguf();
    const { count: total = counts.length, number = index, tensors = names.length } = lies[index] ?? {};
    if (index === 0) raw.metadata.push(whole.slice(24, start));
    raw
      .entry('split.no', 2, u16(number))
      .entry('split.count', 2, u16(total))
      .entry('split.tensors.count', 5, u32(tensors));
    const known = new DataView(whole.buffer, whole.byteOffset).getBigUint64(16, true);
    raw.keyCount = BigInt(3) + (index === 0 ? known : 0n);
    const data: Uint8Array[] = [];
    let offset = 0;
    for (const tensor of names.slice(next, next + count)) {
      const { shape, dtype } = file.tensors.get(tensor)!;
      const { bytes } = await file.readRaw(tensor);
      raw.tensor(tensor, shape.toReversed(), TYPES[dtype]!, offset);
      const padded = new Uint8Array(Math.ceil(bytes.length / 32) * 32);
      padded.set(bytes);
      data.push(padded);
      offset += padded.length;
    }
    next += count;
    raw.data = new Uint8Array(join(...data));
    parts.push(raw.bytes());
  }
  return parts;
}

function u16(value: number): Uint8Array {
  return new Uint8Array(new Uint16Array([value]).buffer);
}

function store(parts: readonly (Uint8Array | undefined)[]): ReturnType<typeof memoryStore> {
  const given = parts.flatMap((bytes, index) => (bytes ? [[name(index + 1, parts.length), bytes] as const] : []));
  return Object.assign(memoryStore(Object.fromEntries(given)), { list: async () => given.map(([file]) => file) });
}

describe('a GGUF in parts', () => {
  let whole: Uint8Array;
  let folder: string;
  beforeEach(async () => {
    whole = await converted('mamba-tiny', 'F16');
    folder = await mkdtemp(joinPath(tmpdir(), 'mamba-parts-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const tensors = async (): Promise<number> => (await openGguf(bytesSource(whole))).tensors.size;

  it.each([[[0, 5]], [[1]], [[5, 1, 2]]])('is what it was in one: after parts of %j the rest', async (counts) => {
    const rest = (await tensors()) - counts.reduce((sum, count) => sum + count, 0);
    const files = store(await split(whole, [...counts, rest]));
    const parts = await openCheckpoint(files);
    const one = await openCheckpoint(Object.assign(memoryStore({ 'a.gguf': whole }), { list: async () => ['a.gguf'] }));
    await expectSameParameters(parts, one);
    expect(parts.config).toEqual(one.config);
    expect(parts.specialTokens).toEqual(one.specialTokens);
    expect([...parts.gguf!.metadata.keys()]).toEqual([...one.gguf!.metadata.keys()]);
    await parts.close();
    expect(files.opened).toBe(0);
  });

  it('is opened by the path of any part, or of their folder', async () => {
    const parts = await split(whole, [4, 4, (await tensors()) - 8]);
    for (const [index, bytes] of parts.entries()) await writeFile(joinPath(folder, name(index + 1)), bytes);
    for (const path of ['', name(1), name(3)]) {
      const checkpoint = await openCheckpoint(joinPath(folder, path));
      expect(checkpoint.tensors.tensors.size).toBe(await tensors());
      await checkpoint.close();
    }
    await rm(joinPath(folder, name(2)));
    await expectError(openCheckpoint(folder), 'invalid-file', name(2), 'Fetch the missing one');
    await expectError(openCheckpoint(joinPath(folder, name(1))), 'invalid-file', name(2));
    // Apply the remedy that the error names.
    await writeFile(joinPath(folder, name(2)), parts[1]!);
    await (await openCheckpoint(folder)).close();
  });

  it.each<[string, Record<number, Facts>, string]>([
    ['another number of parts', { 1: { count: 4 } }, 'split.count'],
    ['another order', { 1: { number: 2 } }, 'split.no'],
    ['another number of tensors', { 0: { tensors: 7 } }, 'split.tensors.count'],
  ])('is refused where it says %s', async (_, lies, key) => {
    const files = store(await split(whole, [4, 4, (await tensors()) - 8], lies));
    await expectError(openCheckpoint(files), 'invalid-file', key, 'Put all parts of one file together');
    expect(files.opened).toBe(0);
  });

  it('is refused where a tensor is in two, or a part is not one', async () => {
    const [first, ...others] = await split(whole, [4, 4, (await tensors()) - 8]);
    const [, second] = await split(whole, [3, 5, (await tensors()) - 8]);
    await expectError(openCheckpoint(store([first, second, others[1]])), 'invalid-file', 'as well');
    await expectError(openCheckpoint(store([first, whole, others[1]])), 'invalid-file', 'split.count');
    await expectError(openCheckpoint(store([first, new Uint8Array(8), others[1]])), 'invalid-file', name(2));
  });

  it('is two where two are in the folder', async () => {
    const files = Object.assign(memoryStore({}), { list: async () => [name(1), name(2), name(3), 'other.gguf'] });
    await expectError(openCheckpoint(files), 'invalid-file', name(1), 'other.gguf', 'Give the path');
  });

  it('has names for its parts', () => {
    expect(ggufParts('a/b-00002-of-00002.GGUF')).toEqual(['a/b-00001-of-00002.GGUF', 'a/b-00002-of-00002.GGUF']);
    for (const file of [
      'b.gguf',
      'b-00003-of-00002.gguf',
      'b-00000-of-00002.gguf',
      'b-1-of-2.gguf',
      'b-00001-of-00002.bin',
    ])
      expect(ggufParts(file)).toBeUndefined();
  });
});
