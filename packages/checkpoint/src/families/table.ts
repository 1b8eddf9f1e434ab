import type { BlockKind, ModelConfig, ParameterSpec, Shape } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';
import type { Stored } from './family.ts';

/** The names of a family's tensors, with properties of those that are stored in a special form. */
export interface TensorTable {
  /** The parameters outside the layers, by key. */
  readonly model: Readonly<Record<string, Entry>>;
  /** The parameters of a layer, by the kind of its block and by key (`norm`, `block.inProj`). */
  readonly layers: { readonly [K in BlockKind]?: Readonly<Record<string, Entry>> };
  /** The number that a block's layer has in the file. Default: the index of the block. */
  readonly layerOf?: ((index: number, config: ModelConfig) => number) | undefined;
}

/**
 * An entry: the name of a tensor, in which `#` stands for the layer's number; a name with special properties; or a
 * function that gives the stored form.
 */
export type Entry = string | SpecialEntry | ((parameter: ParameterSpec, config: ModelConfig) => Stored);

export interface SpecialEntry extends Pick<Stored, 'codec' | 'check'> {
  readonly name: string;
  /** The shape of the tensor, from the parameter's shape. Default: the same. */
  readonly shape?: ((shape: Shape) => Shape) | undefined;
  /** The tensor holds `of` parameters of this shape, and this one has the index `index`, counted from 0. */
  readonly share?: { readonly index: number; readonly of: number } | undefined;
  /** The tensor holds the transposed matrix. Default false. */
  readonly transposed?: boolean | undefined;
}

/** The tensors of each parameter of a model, by a table. */
export function byTable(table: TensorTable, config: ModelConfig): (parameter: ParameterSpec) => Stored {
  return (parameter) => {
    const entry = entryOf(table, parameter);
    if (entry === undefined)
      throw invalid(
        `parameter ${parameter.name}`,
        `${parameter.key} of a ${parameter.kind} block`,
        'one of its family',
      );
    if (typeof entry === 'function') return entry(parameter, config);
    const { name, shape: storedShape = same, share = WHOLE, transposed, codec, check } = special(entry);
    const [rows, ...rest] = parameter.shape as [number, ...number[]];
    const tensor = numbered(table, name, parameter.layer, config);
    const shape = transposed ? [rest[0]!, rows * share.of] : storedShape([rows * share.of, ...rest]);
    const count = shape[transposed ? 1 : 0]! / share.of;
    const part = { tensor, shape, first: count * share.index, count, ...(transposed && { transposed }) };
    return { parts: [part], codec, check };
  };
}

/** The entries with a prefix before their names. */
export function prefixed(
  prefix: string,
  entries: Readonly<Record<string, string | SpecialEntry>>,
): Record<string, Entry> {
  return Object.fromEntries(
    Object.entries(entries).map(([key, entry]) => {
      const { name, ...rest } = special(entry);
      return [key, { name: `${prefix}${name}`, ...rest }];
    }),
  );
}

const WHOLE = { index: 0, of: 1 };

function same(shape: Shape): Shape {
  return shape;
}

function special(entry: string | SpecialEntry): SpecialEntry {
  return typeof entry === 'string' ? { name: entry } : entry;
}

function entryOf({ model, layers }: TensorTable, { key, kind }: ParameterSpec): Entry | undefined {
  return kind === undefined ? model[key] : layers[kind]?.[key];
}

function numbered({ layerOf }: TensorTable, name: string, layer: number | undefined, config: ModelConfig): string {
  return layer === undefined ? name : name.replace('#', String(layerOf?.(layer, config) ?? layer));
}
