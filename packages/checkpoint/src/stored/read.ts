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
  if (parts.some((part) => part.shape.length !== 2 || reordered(part))) return undefined;
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

async function readPart(file: TensorReader, part: StoredPart): Promise<HostTensor> {
  const { tensor, shape, first, count } = part;
  if (reordered(part)) return partOf(await file.read(tensor), part);
  if (first === 0 && count === shape[0]) return file.read(tensor);
  if (shape.length === 2) return file.rows(tensor).rows(first, count);
  return partOf(await file.read(tensor), part);
}

/** The values of a part in the order of the parameter, from the whole tensor: a view where the order is the same. */
export function partOf(whole: HostTensor, part: StoredPart): HostTensor {
  const { shape, first, count, transposed = false } = part;
  const [rows, ...rest] = shape as [number, ...number[]];
  const row = sizeOf(rest);
  if (!reordered(part)) {
    const data = whole.data.subarray(first * row, (first + count) * row);
    return { ...whole, shape: [count, ...rest], data } as HostTensor;
  }
  const width = transposed ? rows : row;
  const data = new (whole.data.constructor as new (length: number) => typeof whole.data)(count * width);
  for (let index = 0; index < count; index++) {
    const at = first + storedRow(part, index);
    for (let column = 0; column < width; column++)
      data[index * width + column] = whole.data[transposed ? column * row + at : at * row + column]!;
  }
  return { ...whole, shape: transposed ? [count, rows] : [count, ...rest], data } as HostTensor;
}

/** Whether the values of a part have another order than those of the parameter. */
function reordered({ transposed, pairs }: Pick<StoredPart, 'transposed' | 'pairs'>): boolean {
  return transposed === true || pairs !== undefined;
}

/** The row of a part that holds the row `index` of the parameter's. */
export function storedRow({ pairs }: Pick<StoredPart, 'pairs'>, index: number): number {
  if (pairs === undefined) return index;
  const within = index % pairs;
  const half = pairs / 2;
  return index - within + (within < half ? 2 * within : 2 * (within - half) + 1);
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
