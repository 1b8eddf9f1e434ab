/** Matrices that are read some rows at a time have the same values as the whole, and no other bytes are read. */
import { type HostRows, type HostTensor, sizeOf } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { BLOCKS, type GgufType, typeId } from '../src/gguf/types.ts';
import {
  type ByteSource,
  bytesSource,
  openGguf,
  openSafetensors,
  type RawTensor,
  writeSafetensors,
} from '../src/index.ts';
import { RawGguf } from './gguf-helpers.ts';
import { expectError, random } from './helpers.ts';

const ROWS = 7;

/** A source at an unaligned offset of memory, which records the lengths of its reads. */
function watched(bytes: Uint8Array): { source: ByteSource; lengths: number[] } {
  const odd = new Uint8Array(bytes.length + 1);
  odd.set(bytes, 1);
  const source = bytesSource(odd.subarray(1), 'watched');
  const lengths: number[] = [];
  return {
    source: {
      ...source,
      read(offset, length) {
        lengths.push(length);
        return source.read(offset, length);
      },
    },
    lengths,
  };
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const next = random(length);
  return Uint8Array.from({ length }, () => next(256));
}

const bits = ({ data }: HostTensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

async function expectSlices(rows: HostRows, whole: HostTensor, lengths: number[], rowBytes: number): Promise<void> {
  const [, columns] = whole.shape as [number, number];
  expect(rows).toMatchObject({ dtype: whole.dtype, shape: whole.shape });
  for (const [first, count] of [
    [0, ROWS],
    [2, 3],
    [6, 1],
    [0, 1],
  ] as const) {
    lengths.length = 0;
    const piece = await rows.rows(first, count);
    expect(lengths).toEqual([count * rowBytes]);
    expect(piece).toMatchObject({ dtype: whole.dtype, shape: [count, columns] });
    const data = whole.data.subarray(first * columns, (first + count) * columns);
    expect(bits(piece).equals(bits({ ...whole, data } as HostTensor))).toBe(true);
  }
  for (const [first, count] of [
    [0, 8],
    [7, 1],
    [-1, 2],
    [3, 0],
    [0.5, 1],
  ] as const)
    await expectError(Promise.resolve(rows.rows(first, count)), 'invalid-argument', 'rows within 7');
}

describe('rows of a matrix', () => {
  it.each(Object.keys(BLOCKS) as GgufType[])('of GGUF: %s', async (type) => {
    const { elements, bytes } = BLOCKS[type];
    const columns = elements === 1 ? 5 : 2 * elements;
    const raw = new RawGguf().tensor('m', [columns, ROWS], typeId(type), 0);
    const rowBytes = (columns / elements) * bytes;
    raw.data = randomBytes(Math.ceil((ROWS * rowBytes) / 32) * 32);
    const { source, lengths } = watched(raw.bytes());
    const file = await openGguf(source);
    await expectSlices(file.rows('m'), await file.read('m'), lengths, rowBytes);
  });

  it.each([
    ['F64', 8],
    ['F32', 4],
    ['F16', 2],
    ['BF16', 2],
  ] as const)('of safetensors: %s', async (dtype, width) => {
    const tensor = (shape: readonly number[]): RawTensor => ({
      dtype,
      shape,
      bytes: randomBytes(width * sizeOf(shape)),
    });
    const { source, lengths } = watched(
      writeSafetensors([
        ['before', tensor([3])],
        ['m', tensor([ROWS, 5])],
      ]),
    );
    const file = await openSafetensors(source);
    await expectSlices(file.rows('m'), await file.read('m'), lengths, 5 * width);
  });

  it('are refused where there is no matrix of floats', async () => {
    const tensors: [string, RawTensor][] = [
      ['I32', [ROWS, 5], 4],
      ['U8', [ROWS, 5], 1],
      ['F32', [ROWS], 4],
      ['F32', [ROWS, 5, 1], 4],
    ].map(([dtype, shape, width]) => [
      `${dtype} ${shape}`,
      {
        dtype: dtype as string,
        shape: shape as number[],
        bytes: new Uint8Array(sizeOf(shape as number[]) * (width as number)),
      },
    ]);
    const file = await openSafetensors(bytesSource(writeSafetensors(tensors)));
    const rows = async (name: string): Promise<HostRows> => file.rows(name);
    await expectError(rows('I32 7,5'), 'invalid-argument', 'a matrix of floats');
    await expectError(rows('F32 7'), 'invalid-argument', 'a matrix of floats');
    await expectError(rows('F32 7,5,1'), 'invalid-argument', 'a matrix of floats');
    await expectError(rows('U8 7,5'), 'unsupported', 'U8');
    await expectError(rows('absent'), 'invalid-argument', 'absent');

    const raw = new RawGguf().tensor('vector', [32], typeId('Q8_0'), 0).tensor('other', [256, 1], 10, 64);
    raw.data = new Uint8Array(64 + 96);
    const gguf = await openGguf(raw.source());
    const ggufRows = async (name: string): Promise<HostRows> => gguf.rows(name);
    await expectError(ggufRows('vector'), 'invalid-argument', 'a matrix of floats');
    await expectError(ggufRows('other'), 'unsupported', 'Q2_K');
    await expectError(ggufRows('absent'), 'invalid-argument', 'absent');
  });
});
