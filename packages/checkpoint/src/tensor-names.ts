import { type ModelConfig, type ModelConfigLike, modelConfig, modelParameters, type ParameterSpec } from '@mamba/core';
import { damaged, quote } from './errors.ts';
import type { FolderFormat } from './families/family.ts';
import { FAMILIES, listed } from './families/list.ts';
import type { SafetensorsFile } from './safetensors/file.ts';

/**
 * A parameter's tensor as the files of its model's family call it, for messages; without a config, as transformers'
 * Mamba does. A model that no family knows has core's own names.
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

/** What the files of a family call the tensors that say where all others are. */
export interface LandmarkNames {
  readonly embedding: string;
  readonly finalNorm: string;
  /** It may be there also where the head is tied to the embedding. */
  readonly head: string;
}

export function landmarkNames(format: FolderFormat, config: ModelConfig): LandmarkNames {
  const [embedding] = modelParameters(config) as [ParameterSpec];
  const name = (key: keyof LandmarkNames): string => nameIn(format, config, { ...embedding, name: key, key });
  return { embedding: name('embedding'), finalNorm: name('finalNorm'), head: name('head') };
}

/**
 * A file's own names of tensors, by the family's names for them. A file may have other names for some, no base before
 * them (the bare model), more than that (a model within another), and what wrapped a module when it was saved.
 * @throws MambaError `invalid-file` where two tensors are the same one.
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

/** What stands before the final norm's name, where that is outermost: a layer's may end alike. */
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

/** What compiled, parallel, sharded and recomputing modules put before the names of the one they hold. */
const WRAPPERS = ['_orig_mod', 'module', '_forward_module', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'];

function withoutWrappers(name: string): string {
  return name
    .split('.')
    .filter((part) => !WRAPPERS.includes(part))
    .join('.');
}
