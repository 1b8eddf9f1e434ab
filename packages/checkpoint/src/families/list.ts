/** The list of families, and functions that find one. */
import { type MambaError, type ModelConfig, type ModelConfigLike, modelConfig } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';
import { unsupported } from '../errors.ts';
import { falconMamba } from './falcon-mamba.ts';
import type { Family, FolderFormat, GgufFormat } from './family.ts';
import { gptNeox } from './gpt-neox.ts';
import { gpt2 } from './gpt2.ts';
import { jamba } from './jamba.ts';
import { llama } from './llama.ts';
import { mamba } from './mamba.ts';
import { mambaOriginal } from './mamba-original.ts';
import { mamba2 } from './mamba2.ts';

/** All families. A model is written as the first family that can express it. */
export const FAMILIES: readonly Family[] = [mamba, falconMamba, mamba2, mambaOriginal, jamba, llama, gpt2, gptNeox];

/**
 * The family of a name.
 * @throws MambaError `invalid-argument` where there is none.
 */
export function familyNamed(origin: string, name: string): Family {
  const found = FAMILIES.find((family) => family.name === name);
  if (found !== undefined) return found;
  throw invalid(origin, String(name), `one of ${FAMILIES.map((family) => family.name).join(', ')}`);
}

/**
 * Other names that files of a family have for some tensors, each with the name that this package writes.
 * @throws MambaError `invalid-argument` where there is no such family.
 */
export function familyAliases(name: string): Readonly<Record<string, string>> {
  return familyNamed('familyAliases', name).folder.aliases ?? {};
}

/** A family that can express a model, with the format that does. */
export interface FamilyWithFormat<F> {
  readonly family: Family;
  readonly format: F;
}

/**
 * The family to write a model as, with a `config.json`: the named one, or the first that can express it.
 * @throws MambaError `unsupported` where no family, or not the named one, can express the model.
 */
export function folderFamily(
  origin: string,
  config: ModelConfig,
  name?: string | undefined,
): FamilyWithFormat<FolderFormat> {
  return familyWithFormat(origin, config, name, ({ folder }) => folder);
}

/** The family to write a model as, in a GGUF file. As `folderFamily` otherwise. */
export function ggufFamilyFormat(
  origin: string,
  config: ModelConfig,
  name?: string | undefined,
): FamilyWithFormat<GgufFormat> {
  return familyWithFormat(origin, config, name, ({ gguf }) => gguf);
}

/** The config with its blocks listed, as families take it. */
export function listed(config: ModelConfigLike): ModelConfig {
  return 'blocks' in config ? modelConfig(config) : modelConfig(config);
}

function familyWithFormat<F extends FolderFormat | GgufFormat>(
  origin: string,
  config: ModelConfig,
  name: string | undefined,
  formatOf: (family: Family) => F | undefined,
): FamilyWithFormat<F> {
  const candidates = name === undefined ? FAMILIES : [familyNamed(`${origin}.family`, name)];
  const refusals: string[] = [];
  for (const family of candidates) {
    const format = formatOf(family);
    if (format === undefined) continue;
    const refusal = format.refusal(config);
    if (refusal === undefined) return { family, format };
    refusals.push(`${family.name}: the model ${refusal}`);
  }
  if (refusals.length === 0) refusals.push(`${name} has no files of this format`);
  throw refused(origin, config, refusals);
}

function refused(origin: string, { blocks }: ModelConfig, refusals: readonly string[]): MambaError {
  const kinds = [...new Set(blocks.map(({ kind }) => kind))];
  return unsupported(
    `${origin}.config`,
    `${blocks.length} blocks of kind ${kinds.join(', ')}`,
    `a model that a family holds (${refusals.join('; ')})`,
  );
}
