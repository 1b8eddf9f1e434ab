import {
  type HostTensor,
  type MambaError,
  type ModelConfig,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
} from '@mamba/core';
import { sameShape } from '@mamba/core/toolkit';
import { damaged, list, quote } from '../errors.ts';
import type { Stored, StoredPart } from '../families/family.ts';
import type { TensorInfo } from '../safetensors/file.ts';
import { readStored, storedRows, type TensorReader } from './read.ts';

/** A file of tensors with its header. */
export interface TensorFile extends TensorReader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

export interface LocateOptions {
  /** The name of a tensor in the file, from the family's name; undefined where the file does not have it. */
  readonly nameOf: (tensor: string, parameter: ParameterSpec) => string | undefined;
  /** The origin of the expected shapes, in words. */
  readonly shapesFrom: string;
  /** Throws for types that a parameter cannot have. */
  readonly checkType: (origin: string, dtype: string) => void;
  /** The remedy where these tensors are missing, in words. */
  readonly remedy?: ((missing: readonly string[]) => string | undefined) | undefined;
}

/** The parameters of a model as a file holds them. */
export interface LocatedParameters {
  readonly source: ParameterSource;
  /** The names of the tensors that hold a parameter or a part of one. */
  readonly used: ReadonlySet<string>;
  /** The parts of a parameter, with the names of their tensors in the file. */
  partsOf(parameter: Pick<ParameterSpec, 'key' | 'layer'>): readonly StoredPart[];
  /** The names of a parameter's tensors in the file, each once. */
  tensorsOf(parameter: Pick<ParameterSpec, 'key' | 'layer'>): readonly string[];
}

/**
 * Locates every parameter, so that a file that does not fit is refused before anything is loaded. Values are read on
 * demand, one tensor or some rows of a matrix at a time.
 * @throws MambaError `invalid-file` where a tensor is missing or of a wrong shape, and the errors of `checkType`.
 */
export function locateParameters(
  config: ModelConfig,
  file: TensorFile,
  storedOf: (parameter: ParameterSpec) => Stored,
  { nameOf, shapesFrom, checkType, remedy }: LocateOptions,
): LocatedParameters {
  const parameters = modelParameters(config);
  const found = new Map<string, Stored>();
  const missing = new Set<string>();
  for (const parameter of parameters) {
    const stored = storedOf(parameter);
    const parts = stored.parts.map((part) => {
      const tensor = nameOf(part.tensor, parameter);
      if (tensor === undefined) missing.add(part.tensor);
      return { ...part, tensor: tensor ?? part.tensor };
    });
    found.set(parameter.name, { ...stored, parts });
  }
  if (missing.size > 0)
    throw damaged(file.name, `no tensor ${list([...missing])}`, 'every tensor of the config', remedy?.([...missing]));
  for (const { parts } of found.values()) {
    for (const { tensor, shape } of parts) {
      const origin = `${file.name}: tensor ${quote(tensor)}`;
      const info = file.tensors.get(tensor)!;
      if (!sameShape(info.shape, shape))
        throw damaged(origin, `[${info.shape.join(', ')}]`, `[${shape.join(', ')}], as ${shapesFrom}`);
      checkType(origin, info.dtype);
    }
  }
  const storedIn = ({ name }: Pick<ParameterSpec, 'name'>): Stored => {
    const stored = found.get(name);
    if (stored === undefined) throw damaged(file.name, `no parameter ${name}`, 'a parameter of the config');
    return stored;
  };
  const partsOf = ({ key, layer }: Pick<ParameterSpec, 'key' | 'layer'>): readonly StoredPart[] =>
    found.get(layer === undefined ? key : `layers.${layer}.${key}`)?.parts ?? [];
  const read = async (parameter: ParameterSpec): Promise<HostTensor> =>
    readStored(file, parameter, storedIn(parameter));
  return {
    source: Object.assign(read, {
      rows: (parameter: ParameterSpec) =>
        parameter.role === 'matrix' ? storedRows(file, parameter, storedIn(parameter)) : undefined,
    }),
    used: new Set([...found.values()].flatMap(({ parts }) => parts.map(({ tensor }) => tensor))),
    partsOf,
    tensorsOf: (parameter) => [...new Set(partsOf(parameter).map(({ tensor }) => tensor))],
  };
}

/** The error for tensors that hold no parameter. */
export function surplusError(file: Pick<TensorFile, 'name'>, surplus: readonly string[]): MambaError {
  return damaged(file.name, `tensors that the config has no place for: ${list(surplus)}`, 'none left over');
}
