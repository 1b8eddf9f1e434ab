/** Plans the tensors to write and the parameters that they consist of, the inverse of `read.ts`. */
import { type HostTensor, MambaError, type ParameterSource, type ParameterSpec, type Shape, sizeOf } from '@mamba/core';
import type { Codec, Stored } from '../families/family.ts';
import { mapped } from './read.ts';

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
  /** The first row in the tensor; `source` is the first row in the parameter. */
  readonly first: number;
  readonly source: number;
  readonly count: number;
  /** Values of a row. */
  readonly row: number;
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
    for (const { tensor: name, shape, first, count } of parts) {
      const plan = plans.get(name) ?? { name, shape, parameter, pieces: [] };
      plans.set(name, plan);
      const shared = plan.pieces.some((piece) => piece.first === first && piece.count === count);
      if (!shared) plan.pieces.push({ parameter, codec, first, source, count, row: sizeOf(shape) / shape[0]! });
      source += count;
    }
  }
  const tensors = [...plans.values()];
  for (const { name, shape, pieces } of tensors) {
    pieces.sort((a, b) => a.first - b.first);
    let next = 0;
    for (const { first, count } of pieces) if (first === next) next += count;
    if (next !== shape[0] || pieces.reduce((sum, { count }) => sum + count, 0) !== next)
      throw new MambaError('unsupported', `the tensor ${name} cannot be written`, {
        origin: name,
        given: `rows of ${pieces.map(({ parameter }) => parameter.name).join(', ')}`,
        expected: `every one of its ${shape[0]} rows once`,
      });
  }
  return tensors;
}

/**
 * The values of a piece as they are stored, `[rows, …]`. The values of the parameter are not copied where a piece is
 * all of it.
 */
export function pieceValues({ parameter, codec, source, count, row }: Piece, host: HostTensor): HostTensor {
  const part =
    count * row === sizeOf(parameter.shape)
      ? host
      : ({
          ...host,
          shape: [count, row],
          data: host.data.subarray(source * row, (source + count) * row),
        } as HostTensor);
  return codec === undefined ? part : mapped(part, codec.encode);
}

/** Keeps the last parameter, so that the source is asked once where consecutive tensors have pieces of it. */
export function withLast(source: ParameterSource): (parameter: ParameterSpec) => Promise<HostTensor> {
  let last: { readonly name: string; readonly host: HostTensor } | undefined;
  return async (parameter) => {
    if (last?.name !== parameter.name) {
      last = undefined;
      last = { name: parameter.name, host: await source(parameter) };
    }
    return last.host;
  };
}
