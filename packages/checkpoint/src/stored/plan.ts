/** Tensors to be written, of the parameters that they hold: what `read.ts` undoes. */
import { type HostTensor, MambaError, type ParameterSource, type ParameterSpec, type Shape, sizeOf } from '@mamba/core';
import type { Codec, Stored } from '../families/family.ts';
import { mapped } from './read.ts';

export interface PlannedTensor {
  readonly name: string;
  readonly shape: Shape;
  /** The first of its parameters: it tells how the tensor is stored. */
  readonly parameter: ParameterSpec;
  /** From its first row to its last. */
  readonly pieces: readonly Piece[];
}

/** Some rows of a parameter, which are some rows of a tensor. */
export interface Piece {
  readonly parameter: ParameterSpec;
  readonly codec: Codec | undefined;
  /** Row of the tensor, and of the parameter. */
  readonly first: number;
  readonly source: number;
  readonly count: number;
}

/**
 * In the order of the parameters. Rows that several parameters share are written of the first one.
 * @throws MambaError `unsupported` where rows of a tensor are of no parameter.
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
      if (!shared) plan.pieces.push({ parameter, codec, first, source, count });
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

/** Values of a piece as they are stored, `[rows, …]`; the parameter's are taken where a piece is all of it. */
export function pieceValues({ parameter, codec, source, count }: Piece, host: HostTensor): HostTensor {
  const [rows, ...rest] = parameter.shape as [number, ...number[]];
  const row = sizeOf(rest);
  const part =
    count === rows
      ? host
      : ({
          ...host,
          shape: [count, ...rest],
          data: host.data.subarray(source * row, (source + count) * row),
        } as HostTensor);
  return codec === undefined ? part : mapped(part, codec.encode);
}

/** Asks for a parameter once, where the pieces of one tensor after another are of it. */
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
