import { type ModelConfig, type ModelConfigLike, modelConfig, modelParameters, type ParameterSpec } from '@mamba/core';
import { damaged, quote } from './errors.ts';
import type { FolderFormat } from './families/family.ts';
import { FAMILIES, listed } from './families/list.ts';
import type { SafetensorsFile } from './safetensors/file.ts';

/**
 * The name of a parameter's tensor in the files of its family, for messages; without a config, the name in
 * transformers' Mamba. For a model of no family, it is core's own name.
 */
export function transformersName(
  { key, layer }: Pick<ParameterSpec, 'key' | 'layer'>,
  given?: ModelConfigLike | undefined,
): string {
  const sizes = { layers: (layer ?? 0) + 1, dModel: 1, vocabSize: 1 };
  const config = given === undefined ? modelConfig(sizes, { projectionBias: true, tiedHead: false }) : listed(given);
  const parameter = modelParameters(config).find((spec) => spec.key === key && spec.layer === layer);
  const family = FAMILIES.find(({ folder }) => folder.refusal(config) === undefined);
  return family === undefined || parameter === undefined
    ? [...(layer === undefined ? [] : ['layers', layer]), key].join('.')
    : nameIn(family.folder, config, parameter);
}

/** The names, in the files of a family, of those tensors by which the prefix of all names is found. */
export interface LandmarkNames {
  readonly embedding: string;
  readonly finalNorm: string;
  /** The name of the head. A file may have it also where the head is tied to the embedding. */
  readonly head: string;
}

export function landmarkNames(format: FolderFormat, config: ModelConfig): LandmarkNames {
  const [embedding] = modelParameters(config) as [ParameterSpec];
  const name = (key: keyof LandmarkNames): string => nameIn(format, config, { ...embedding, name: key, key });
  return { embedding: name('embedding'), finalNorm: name('finalNorm'), head: name('head') };
}

/**
 * The names of tensors in a file, by the family's names. A file may have aliases for some, names without the base (the
 * bare model) or with a longer prefix (a model within another), and the names of modules that wrapped the model when it
 * was saved.
 * @throws MambaError `invalid-file` where two tensors have the same name for the family.
 */
export function tensorNames(
  file: Pick<SafetensorsFile, 'name' | 'tensors'>,
  format: Pick<FolderFormat, 'base' | 'aliases'>,
  { finalNorm, head }: LandmarkNames,
): ReadonlyMap<string, string> {
  const plain = [...file.tensors.keys()].map((name) => ({ name, path: withoutWrappers(name) }));
  const base = baseOf(
    plain.map(({ path }) => path),
    finalNorm.slice(format.base.length),
    format.base,
  );
  const outside = base.endsWith(format.base) ? base.slice(0, -format.base.length) : base;
  const heads = [head, `${base}${head}`, `${outside}${head}`];
  const names = new Map<string, string>();
  for (const { name, path } of plain) {
    const known = heads.includes(path) ? head : path.startsWith(base) ? format.base + path.slice(base.length) : path;
    const canonical = format.aliases?.[known] ?? known;
    const other = names.get(canonical);
    if (other !== undefined)
      throw damaged(file.name, `both ${quote(other)} and ${quote(name)}`, `one tensor that is ${canonical}`);
    names.set(canonical, name);
  }
  return names;
}

/**
 * The prefix before the name of the final norm. Since a name within a layer may end the same way, the shortest prefix
 * counts.
 */
function baseOf(paths: readonly string[], norm: string, fallback: string): string {
  const found = paths.filter((path) => path === norm || path.endsWith(`.${norm}`));
  const [first, ...others] = found;
  if (first === undefined) return fallback;
  const outermost = others.reduce((best, path) => (path.length < best.length ? path : best), first);
  return outermost.slice(0, -norm.length);
}

function nameIn(format: FolderFormat, config: ModelConfig, parameter: ParameterSpec): string {
  return format.tensors(config)(parameter).parts[0]!.tensor;
}

/**
 * The names that modules for compilation, parallelism, sharding and recomputation put before those of the module they
 * wrap.
 */
const WRAPPERS = ['_orig_mod', 'module', '_forward_module', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'];

function withoutWrappers(name: string): string {
  return name
    .split('.')
    .filter((part) => !WRAPPERS.includes(part))
    .join('.');
}
