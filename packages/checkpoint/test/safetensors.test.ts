import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blobSource,
  bytesSource,
  openFile,
  openSafetensors,
  type RawTensor,
  type SafetensorsFile,
  writeSafetensors,
} from '../src/index.ts';
import { expectError, FIXTURES, rawFile } from './helpers.ts';

const open = (bytes: Uint8Array): Promise<SafetensorsFile> => openSafetensors(bytesSource(bytes, 'x.safetensors'));
const one = (entry: object, data: number): Uint8Array => rawFile(JSON.stringify({ t: entry }), data);

describe('safetensors files that are what they say', () => {
  it('reads the golden scan file, tensor by tensor', async () => {
    const file = await openSafetensors(await openFile(`${FIXTURES}/scan-golden.safetensors`));
    const cases = JSON.parse(file.metadata.get('cases')!) as Record<string, { dim: number; state: number }>;
    for (const [name, { dim, state }] of Object.entries(cases)) {
      const A = await file.read(`${name}/in.A`);
      expect(A).toMatchObject({ dtype: 'float32', shape: [dim, state] });
      expect(A.data.every((value) => value <= 0)).toBe(true);
      expect((await file.read(`${name}/out.y`)).dtype).toBe('float64');
    }
    await file.close();
  });

  it('gives the same from a file, a blob, and bytes at an odd offset', async () => {
    const path = `${FIXTURES}/mamba-tiny-bf16/model.safetensors`;
    const bytes = await readFile(path);
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    const files = await Promise.all(
      [await openFile(path), blobSource(new Blob([bytes])), bytesSource(bytes), bytesSource(odd.subarray(1))].map(
        openSafetensors,
      ),
    );
    for (const name of files[0]!.tensors.keys()) {
      const [first, ...others] = await Promise.all(files.map((file) => file.read(name)));
      for (const other of others) expect(other).toEqual(first);
    }
    await Promise.all(files.map((file) => file.close()));
  });

  it('reads back whatever was written', async () => {
    const shape = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 });
    const tensor = shape.chain((extents) => {
      const size = extents.reduce((product, extent) => product * extent, 1);
      const floats = fc.array(fc.double(), { minLength: size, maxLength: size });
      return fc.oneof(
        floats.map((values) => ({ dtype: 'float64' as const, shape: extents, data: Float64Array.from(values) })),
        floats.map((values) => ({ dtype: 'float32' as const, shape: extents, data: Float32Array.from(values) })),
        floats.map((values) => ({ dtype: 'int32' as const, shape: extents, data: Int32Array.from(values) })),
        floats.map((values) => ({ dtype: 'bfloat16' as const, shape: extents, data: Uint16Array.from(values) })),
      );
    });
    const names = fc
      .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', 'a"b\\'))
      .filter((name) => name !== '__metadata__');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(names, tensor), { maxLength: 6 }), async (entries) => {
        const tensors = new Map(entries);
        const file = await open(writeSafetensors(tensors, [['note', 'x']]));
        expect(file.metadata.get('note')).toBe('x');
        expect(new Set(file.tensors.keys())).toEqual(new Set(tensors.keys()));
        for (const [name, written] of tensors) expect(await file.read(name)).toEqual(written);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('reads I64 as int32, and refuses what does not fit', async () => {
    const integers = (...values: bigint[]): RawTensor => ({
      dtype: 'I64',
      shape: [values.length],
      bytes: new Uint8Array(BigInt64Array.from(values).buffer),
    });
    const file = await open(
      writeSafetensors([
        ['ids', integers(0n, -1n, 2n ** 31n - 1n, -(2n ** 31n))],
        ['large', integers(1n, 2n ** 31n)],
      ]),
    );
    expect((await file.read('ids')).data).toEqual(Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31)));
    await expectError(file.read('large'), 'invalid-file', '"large"', '2147483648');
  });

  it('lists tensors of other dtypes and empty ones, without reading them', async () => {
    const file = await open(
      writeSafetensors([
        ['bytes', { dtype: 'U8', shape: [3], bytes: new Uint8Array(3) }],
        ['empty', { dtype: 'F32', shape: [0, 4], bytes: new Uint8Array(0) }],
      ]),
    );
    expect(file.tensors.get('bytes')).toMatchObject({ dtype: 'U8', shape: [3] });
    expect(await file.readBytes('bytes', 1, 3)).toHaveLength(2);
    await expectError(file.read('bytes'), 'unsupported', '"bytes"', 'U8', 'F32');
    await expectError(file.read('empty'), 'invalid-file', '[0, 4]');
    await expectError(file.read('absent'), 'invalid-argument', '"absent"');
  });
});

describe('safetensors files that lie', () => {
  const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const two = (a: number[], b: number[], data: number): Uint8Array =>
    rawFile(JSON.stringify({ a: { ...good, data_offsets: a }, b: { ...good, data_offsets: b } }), data);
  const cases: readonly (readonly [what: string, bytes: Uint8Array, ...words: string[]])[] = [
    ['an empty file', new Uint8Array(0), '0 bytes'],
    ['seven bytes', new Uint8Array(7), '7 bytes'],
    ['a gigantic header length', rawFile('{}', 0, 2n ** 63n), '9223372036854775808'],
    ['a header length beyond the file', rawFile('{}', 0, 3n), 'header of 3 bytes'],
    ['a header that is not JSON', rawFile('{"a":'), 'JSON'],
    ['a header that is not UTF-8', rawFile('{}', Uint8Array.of(0xff, 0xff), 4n), 'UTF-8'],
    ['a header that is a list', rawFile('[]'), 'JSON object'],
    ['a name twice', rawFile('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'), '"a" twice'],
    [
      'a field twice',
      rawFile('{"t":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
      '"dtype" twice',
    ],
    ['metadata that is no text', rawFile('{"__metadata__":{"a":1}}'), '__metadata__', '1'],
    ['an entry that is null', rawFile('{"t":null}'), '"t"', 'null'],
    ['an unknown dtype', one({ ...good, dtype: 'F128' }, 8), '"t"', 'F128', 'BF16'],
    ['a dtype out of a prototype', one({ ...good, dtype: 'constructor' }, 8), '"t"', 'constructor'],
    ['an unknown field', one({ ...good, strides: [1] }, 8), '"strides"'],
    ['a negative extent', one({ ...good, shape: [-2] }, 8), '[-2]'],
    ['a fractional extent', one({ ...good, shape: [1.5] }, 8), '[1.5]'],
    ['an absurd extent', one({ ...good, shape: [2 ** 40, 2 ** 40] }, 8), '"t"'],
    ['a shape that is no list', one({ ...good, shape: 2 }, 8), 'shape 2'],
    ['three offsets', one({ ...good, data_offsets: [0, 8, 8] }, 8), 'data_offsets'],
    ['negative offsets', one({ ...good, data_offsets: [-8, 0] }, 8), 'data_offsets'],
    ['offsets backwards', one({ ...good, data_offsets: [8, 0] }, 8), '[8, 0]'],
    ['offsets beyond the file', one({ ...good, data_offsets: [0, 8] }, 7), '7'],
    ['a shape that disagrees with its bytes', one({ ...good, shape: [3] }, 8), '8 bytes', '12'],
    ['tensors that overlap', two([0, 8], [4, 12], 12), '"b"', 'another tensor'],
    ['tensors at one place', two([0, 8], [0, 8], 8), 'another tensor'],
    ['a hole', two([0, 8], [12, 20], 20), '"b"', 'hole of 4 bytes'],
    ['bytes after the last tensor', one(good, 9), '9 bytes of data'],
    ['data cut off', one(good, 7), '7'],
  ];
  for (const [what, bytes, ...words] of cases)
    it(`refuses ${what}`, () => expectError(open(bytes), 'invalid-file', 'x.safetensors', ...words));

  it('closes the source when it refuses', async () => {
    let closed = 0;
    const source = { ...bytesSource(new Uint8Array(3)), close: async () => void closed++ };
    await expectError(openSafetensors(source), 'invalid-file');
    expect(closed).toBe(1);
  });

  it('is not misled by names of prototypes', async () => {
    const file = await open(rawFile('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4));
    expect([...file.tensors.keys()]).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
    await expectError(file.read('toString'), 'invalid-argument');
  });
});
