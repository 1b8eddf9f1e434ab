/** Plans the tensors to write and the parameters that they consist of, the inverse of `read.ts`. */
import { type HostTensor, MambaError, type ParameterSource, type ParameterSpec, type Shape, sizeOf } from '@mamba/core';
import { copyFloats } from '@mamba/core/toolkit';
import type { Codec, Stored, StoredPart } from '../families/family.ts';
import { mapped, storedRow } from './read.ts';

export interface PlannedTensor {
  readonly name: string;
  readonly shape: Shape;
  /** The first parameter of the tensor, which determines the type that the tensor is stored in. */
  readonly parameter: ParameterSpec;
  /** The pieces of the tensor, from its first row to its last. */
  readonly pieces: readonly Piece[];
}

/** Rows of a parameter that are rows of a tensor. */
export interface Piece {
  readonly parameter: ParameterSpec;
  readonly codec: Codec | undefined;
  /** The first row in the tensor, or column of a transposed one; `source` is the first row in the parameter. */
  readonly first: number;
  readonly source: number;
  readonly count: number;
  /** Values of a row, or of a column of a transposed tensor. */
  readonly row: number;
  /** How the tensor holds the rows. */
  readonly part: Pick<StoredPart, 'transposed' | 'pairs'>;
}

/**
 * The tensors in the order of the parameters. Rows that several parameters share are taken from the first one.
 * @throws MambaError `unsupported` where rows of a tensor belong to no parameter.
 */
export function planTensors(
  parameters: readonly ParameterSpec[],
  storedOf: (parameter: ParameterSpec) => Stored,
): readonly PlannedTensor[] {
  const plans = new Map<string, PlannedTensor & { pieces: Piece[] }>();
  for (const parameter of parameters) {
    const { parts, codec } = storedOf(parameter);
    let source = 0;
    for (const part of parts) {
      const { tensor: name, shape, first, count } = part;
      const plan = plans.get(name) ?? { name, shape, parameter, pieces: [] };
      plans.set(name, plan);
      const shared = plan.pieces.some((piece) => piece.first === first && piece.count === count);
      if (!shared) {
        const row = part.transposed ? shape[0]! : sizeOf(shape) / shape[0]!;
        plan.pieces.push({ parameter, codec, first, source, count, row, part });
      }
      source += count;
    }
  }
  const tensors = [...plans.values()];
  for (const { name, shape, pieces } of tensors) {
    pieces.sort((a, b) => a.first - b.first);
    let next = 0;
    for (const { first, count } of pieces) if (first === next) next += count;
    const rows = pieces[0]!.part.transposed ? shape[1] : shape[0];
    if (next !== rows || pieces.reduce((sum, { count }) => sum + count, 0) !== next)
      throw new MambaError('unsupported', `the tensor ${name} cannot be written`, {
        origin: name,
        given: `rows of ${pieces.map(({ parameter }) => parameter.name).join(', ')}`,
        expected: `every one of its ${rows} rows once`,
      });
  }
  return tensors;
}

/** Values of a tensor as they are stored, from the row `first` of the tensor on. */
export interface StoredValues {
  readonly host: HostTensor;
  readonly first: number;
}

/**
 * The values of a tensor, piece by piece in the order of its rows; a transposed one at once, since its rows have a part
 * of every piece. A parameter is read once for a tensor, and for consecutive tensors where they have pieces of it.
 */
export function valueReader(source: ParameterSource): (tensor: Pick<PlannedTensor, 'shape' | 'pieces'>) => Values {
  const hosts = new Map<string, HostTensor>();
  const read = async (pieces: readonly Piece[], index: number): Promise<HostTensor> => {
    const { parameter } = pieces[index]!;
    const known = hosts.get(parameter.name);
    if (known !== undefined) return known;
    const later = new Set(pieces.slice(index).map((piece) => piece.parameter.name));
    for (const name of hosts.keys()) if (!later.has(name)) hosts.delete(name);
    const host = await source(parameter);
    hosts.set(parameter.name, host);
    return host;
  };
  return async function* ({ shape, pieces }) {
    if (!pieces.some(({ part }) => part.transposed)) {
      for (const [index, piece] of pieces.entries())
        yield { host: pieceValues(piece, await read(pieces, index)), first: piece.first };
      return;
    }
    const data = new Float64Array(sizeOf(shape));
    const [rows, columns] = shape as [number, number];
    for (const [index, piece] of pieces.entries()) {
      const host = pieceValues(piece, await read(pieces, index));
      const values = new Float64Array(host.data.length);
      copyFloats(host, values);
      for (let column = 0; column < piece.count; column++)
        for (let row = 0; row < rows; row++) data[row * columns + piece.first + column] = values[column * rows + row]!;
    }
    yield { host: { dtype: 'float64', shape, data }, first: 0 };
  };
}

type Values = AsyncGenerator<StoredValues, void, void>;

/**
 * The values of a piece in the order of the tensor's rows, `[rows, …]`. They are not copied where a piece is all of its
 * parameter, in the same order.
 */
function pieceValues({ parameter, codec, source, count, row, part }: Piece, host: HostTensor): HostTensor {
  let values = host;
  if (count * row !== sizeOf(parameter.shape)) {
    const data = host.data.subarray(source * row, (source + count) * row);
    values = { ...host, shape: [count, row], data } as HostTensor;
  }
  if (part.pairs !== undefined) {
    const data = values.data.slice();
    for (let index = 0; index < count; index++)
      data.set(values.data.subarray(index * row, (index + 1) * row), storedRow(part, index) * row);
    values = { ...values, data } as HostTensor;
  }
  return codec === undefined ? values : mapped(values, codec.encode);
}
