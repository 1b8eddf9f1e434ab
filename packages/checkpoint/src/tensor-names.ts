import type { ParameterSpec } from '@mamba/core';
import { damaged, quote } from './errors.ts';
import type { SafetensorsFile } from './safetensors/file.ts';

/** A parameter's tensor, as transformers calls it. */
export function transformersName({ key, layer }: Pick<ParameterSpec, 'key' | 'layer'>): string {
  switch (key) {
    case 'embedding':
      return EMBEDDING;
    case 'finalNorm':
      return `${BASE}${FINAL_NORM}`;
    case 'head':
      return HEAD;
    default:
      return `${BASE}layers.${layer}.${LAYER_TENSORS[key]}`;
  }
}

/**
 * A file's own names of tensors, by transformers' names for them. A file may have the original's name of the embedding,
 * no `backbone.` before them (the bare model), more than that (a model within another), and what wrapped a module when
 * it was saved.
 * @throws MambaError `invalid-file` where two tensors are the same one.
 */
export function tensorNames(file: Pick<SafetensorsFile, 'name' | 'tensors'>): ReadonlyMap<string, string> {
  const plain = [...file.tensors.keys()].map((name) => ({ name, path: withoutWrappers(name) }));
  const norm = plain.find(({ path }) => path === FINAL_NORM || path.endsWith(`.${FINAL_NORM}`));
  const base = norm?.path.slice(0, -FINAL_NORM.length) ?? BASE;
  const heads = [HEAD, `${base}${HEAD}`, `${base.replace(/backbone\.$/, '')}${HEAD}`];
  const names = new Map<string, string>();
  for (const { name, path } of plain) {
    const known = heads.includes(path) ? HEAD : path.startsWith(base) ? BASE + path.slice(base.length) : path;
    const canonical = known === ORIGINAL_EMBEDDING ? EMBEDDING : known;
    const other = names.get(canonical);
    if (other !== undefined)
      throw damaged(file.name, `both ${quote(other)} and ${quote(name)}`, `one tensor that is ${canonical}`);
    names.set(canonical, name);
  }
  return names;
}

export const HEAD = 'lm_head.weight';
export const EMBEDDING = 'backbone.embeddings.weight';

const BASE = 'backbone.';
const ORIGINAL_EMBEDDING = 'backbone.embedding.weight';
const FINAL_NORM = 'norm_f.weight';

/** What compiled, parallel, sharded and recomputing modules put before the names of the one they hold. */
const WRAPPERS = ['_orig_mod', 'module', '_forward_module', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'];

function withoutWrappers(name: string): string {
  return name
    .split('.')
    .filter((part) => !WRAPPERS.includes(part))
    .join('.');
}

const LAYER_TENSORS: Readonly<Record<string, string>> = {
  norm: 'norm.weight',
  'block.inProj': 'mixer.in_proj.weight',
  'block.inProjBias': 'mixer.in_proj.bias',
  'block.conv': 'mixer.conv1d.weight',
  'block.convBias': 'mixer.conv1d.bias',
  'block.xProj': 'mixer.x_proj.weight',
  'block.dtProj': 'mixer.dt_proj.weight',
  'block.dtBias': 'mixer.dt_proj.bias',
  'block.A': 'mixer.A_log',
  'block.D': 'mixer.D',
  'block.outProj': 'mixer.out_proj.weight',
  'block.outProjBias': 'mixer.out_proj.bias',
};
