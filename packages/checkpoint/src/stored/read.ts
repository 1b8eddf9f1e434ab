/** Reads parameters from the tensors that hold them: a whole tensor, a part of one, or several. */
import { type HostRows, type HostTensor, type ParameterSpec, type Shape, sizeOf } from '@mamba/core';
import { bfloat16ToNumber, copyFloats, float16ToNumber } from '@mamba/core/toolkit';
import { quote } from '../errors.ts';
import type { Codec, Stored, StoredPart } from '../families/family.ts';
import { hostRows } from '../host-rows.ts';

/** Reads the tensors of a file of any format. */
export interface TensorReader {
  readonly name: string;
  read(tensor: string): Promise<HostTensor>;
  rows(tensor: string): HostRows;
}

/** Reads the values of a parameter. Without a conversion, they may be a view of a source in memory. */
export async function readStored(
  file: TensorReader,
  { shape }: Pick<ParameterSpec, 'shape'>,
  { parts, codec, check }: Stored,
): Promise<HostTensor> {
  const pieces: HostTensor[] = [];
  for (const part of parts) {
    const piece = await readPart(file, part);
    check?.(originOf(file, part), piece);
    pieces.push(piece);
  }
  return decoded({ ...joined(pieces), shape } as HostTensor, codec);
}

/** A matrix to be read some rows at a time; undefined where its stored form does not allow that. */
export function storedRows(
  file: TensorReader,
  { name, shape }: Pick<ParameterSpec, 'name' | 'shape'>,
  { parts, codec, check }: Stored,
): HostRows | undefined {
  if (parts.some((part) => part.shape.length !== 2)) return undefined;
  const sources = parts.map(({ tensor }) => file.rows(tensor));
  const [{ dtype } = { dtype: undefined }, ...others] = sources;
  if (dtype === undefined || others.some((other) => other.dtype !== dtype)) return undefined;
  const [, columns] = shape as [number, number];
  return hostRows(
    `${file.name}: ${name}`,
    { dtype: codec === undefined ? dtype : 'float64', shape },
    async (first, count) => {
      const pieces: HostTensor[] = [];
      let begin = 0;
      for (const [index, part] of parts.entries()) {
        const from = Math.max(first, begin);
        const to = Math.min(first + count, begin + part.count);
        if (from < to) {
          const piece = await sources[index]!.rows(part.first + from - begin, to - from);
          check?.(originOf(file, part), piece);
          pieces.push(piece);
        }
        begin += part.count;
      }
      return decoded({ ...joined(pieces), shape: [count, columns] } as HostTensor, codec);
    },
  );
}

function originOf(file: TensorReader, { tensor }: StoredPart): string {
  return `${file.name}: tensor ${quote(tensor)}`;
}

async function readPart(file: TensorReader, { tensor, shape, first, count }: StoredPart): Promise<HostTensor> {
  if (first === 0 && count === shape[0]) return file.read(tensor);
  if (shape.length === 2) return file.rows(tensor).rows(first, count);
  const host = await file.read(tensor);
  const row = sizeOf(shape) / shape[0]!;
  const data = host.data.subarray(first * row, (first + count) * row);
  return { ...host, shape: [count, ...shape.slice(1)], data } as HostTensor;
}

/** Joins pieces along the rows. Pieces of several types become float64. */
function joined(pieces: readonly HostTensor[]): HostTensor {
  const first = pieces[0]!;
  if (pieces.length === 1) return first;
  const size = pieces.reduce((sum, { data }) => sum + data.length, 0);
  const shape: Shape = [size];
  if (first.dtype !== 'int32' && pieces.every(({ dtype }) => dtype === first.dtype)) {
    const data = new (first.data.constructor as new (length: number) => typeof first.data)(size);
    let offset = 0;
    for (const piece of pieces) {
      data.set(piece.data, offset);
      offset += piece.data.length;
    }
    return { dtype: first.dtype, shape, data } as HostTensor;
  }
  const data = new Float64Array(size);
  let offset = 0;
  for (const piece of pieces) {
    copyFloats(piece, data.subarray(offset, offset + piece.data.length));
    offset += piece.data.length;
  }
  return { dtype: 'float64', shape, data };
}

function decoded(host: HostTensor, codec: Codec | undefined): HostTensor {
  return codec === undefined ? host : mapped(host, codec.decode);
}

/** Applies a function to every value of a float tensor, in float64. */
export function mapped(host: HostTensor, change: (value: number) => number): HostTensor {
  const { dtype, shape } = host;
  const widen =
    dtype === 'float16' ? float16ToNumber : dtype === 'bfloat16' ? bfloat16ToNumber : (value: number) => value;
  const data = new Float64Array(host.data.length);
  for (let index = 0; index < data.length; index++) data[index] = change(widen(host.data[index]!));
  return { dtype: 'float64', shape, data };
}
