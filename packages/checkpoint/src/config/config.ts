import type { ModelConfig } from '@mamba/core';
import { damaged, show } from '../errors.ts';
import type { Family } from '../families/family.ts';
import { FAMILIES } from '../families/list.ts';
import { Fields } from './fields.ts';

/** A model as a `config.json` describes it. */
export interface ParsedModel {
  /** The name of the family: `mamba`, `falcon-mamba`, `mamba2`, `mamba-original`, `jamba`. */
  readonly family: string;
  readonly config: ModelConfig;
}

/**
 * Parses the `config.json` of a model of any family. Sizes are required; everything else has the defaults of the
 * software that writes such files.
 * @throws MambaError `invalid-file` naming the field that is missing, absurd or contradicts another; `unsupported` for
 * a model of no known family, or with layers that are not implemented.
 */
export function parseModel(json: unknown, origin = 'config.json'): ParsedModel {
  const { family, config } = readConfig(json, origin);
  return { family: family.name, config };
}

/** The config of the model that `parseModel` returns. */
export function parseConfig(json: unknown, origin?: string): ModelConfig {
  return parseModel(json, origin).config;
}

export function readConfig(json: unknown, origin: string): { readonly family: Family; readonly config: ModelConfig } {
  const fields = new Fields(origin, json);
  const type = fields.get('model_type');
  for (const family of FAMILIES) {
    const { identity } = family.folder;
    if ('modelType' in identity && identity.modelType === type) {
      checkArchitectures(fields, identity);
      if (fields.get('quantization_config') !== undefined)
        throw fields.unsupported('quantization_config', 'quantised weights', 'a checkpoint in F32, F16 or BF16');
      return { family, config: family.folder.config(fields) };
    }
    if ('matches' in identity && type === undefined && identity.matches(fields))
      return { family, config: family.folder.config(fields) };
  }
  if (type === undefined) throw damaged(fields.origin('model_type'), 'nothing', supported());
  throw fields.unsupported('model_type', show(type), supported());
}

/** The fields of a `config.json` that identify the family. */
export function identityJson({ folder: { identity } }: Family): object {
  return 'modelType' in identity ? { architectures: [identity.architectures[0]], model_type: identity.modelType } : {};
}

function supported(): string {
  const identities = FAMILIES.map(({ folder }) => folder.identity);
  const types = identities.flatMap((identity) => ('modelType' in identity ? [`"${identity.modelType}"`] : []));
  const layouts = identities.flatMap((identity) => ('layout' in identity ? [identity.layout] : []));
  return `${types.join(', ')}, or ${layouts.join(', ')}`;
}

function checkArchitectures(
  fields: Fields,
  { modelType, architectures }: { readonly modelType: string; readonly architectures: readonly string[] },
): void {
  const given = fields.get('architectures') ?? [];
  if (Array.isArray(given) && given.every((name) => architectures.includes(name as string))) return;
  throw damaged(fields.origin('architectures'), show(given), `${architectures[0]}, since model_type is ${modelType}`);
}
