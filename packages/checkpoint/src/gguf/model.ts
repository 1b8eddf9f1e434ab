import type { ModelConfig, ModelConfigLike, ParameterSource } from '@mamba/core';
import { parseSpecialTokens, type SpecialTokens } from '../config/special-tokens.ts';
import { show, unsupported } from '../errors.ts';
import type { GgufFormat } from '../families/family.ts';
import { FAMILIES, listed } from '../families/list.ts';
import { type LocatedParameters, locateParameters, surplusError } from '../stored/locate.ts';
import { type WarningListener, warnOnConsole } from '../warnings.ts';
import { checkReadable, type GgufFile } from './file.ts';
import { type GgufValue, Metadata } from './metadata.ts';

/**
 * The config of a GGUF file of any family. The vocabulary is the number of the embedding's rows. The model has a
 * separate head, and biases, where the file has their tensors.
 * @throws MambaError `invalid-file` naming the key that is missing, absurd or contradicts another; `unsupported` for an
 * architecture of no family, for layers that are not implemented, or for one part of a split file.
 */
export function ggufConfig(file: GgufFile): ModelConfig {
  const { metadata, format } = formatOf(file);
  const parts = metadata.integer('split.count', 0, 2 ** 16, 0);
  if (parts > 1)
    throw unsupported(metadata.origin('split.count'), `one of ${parts} parts`, 'a whole file', SPLIT_REMEDY);
  return format.config({ metadata, tensors: file.tensors });
}

/** The name of the family of a GGUF file's model: the first of the architecture that can express it. */
export function ggufFamily(file: GgufFile, config: ModelConfig): string {
  const { architecture } = formatOf(file).format;
  const families = FAMILIES.filter(({ gguf }) => gguf?.architecture === architecture);
  return (families.find(({ folder }) => folder.refusal(config) === undefined) ?? families[0]!).name;
}

/**
 * The special tokens by the tokenizer's metadata. A text ends at the end of the text (eos), of a turn (eot), or of a
 * message that awaits an answer (eom). Ids outside the vocabulary are left out, with a warning.
 */
export function ggufSpecialTokens(
  file: GgufFile,
  { vocabSize }: Pick<ModelConfig, 'vocabSize'>,
  onWarning: WarningListener = warnOnConsole,
): SpecialTokens {
  const id = (name: string): GgufValue | undefined => file.metadata.get(`tokenizer.ggml.${name}_token_id`);
  const json = { bos_token_id: id('bos'), eos_token_id: [id('eos'), id('eot'), id('eom')].filter(isGiven) };
  return parseSpecialTokens(vocabSize, [{ origin: file.name, json }], onWarning);
}

function isGiven<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/**
 * The source of a model's parameters in a GGUF file. All tensors are located and checked in this call; values are read
 * on demand.
 * @throws MambaError `invalid-file` where a tensor is missing, unknown or of a wrong shape, `unsupported` where its
 * type cannot be read.
 */
export function ggufParameterSource(config: ModelConfigLike, file: GgufFile): ParameterSource {
  return ggufParameters(listed(config), file).source;
}

/** As `ggufParameterSource`, with the names of each parameter's tensors. */
export function ggufParameters(config: ModelConfig, file: GgufFile): LocatedParameters {
  const { format } = formatOf(file);
  const located = locateParameters(config, file, format.tensors(config), {
    nameOf: (tensor) => (file.tensors.has(tensor) ? tensor : undefined),
    shapesFrom: 'the metadata say',
    checkType: checkReadable,
  });
  const surplus = [...file.tensors.keys()].filter((name) => !located.used.has(name));
  if (surplus.length > 0) throw surplusError(file, surplus);
  return located;
}

function formatOf(file: GgufFile): { readonly metadata: Metadata; readonly format: GgufFormat } {
  const metadata = new Metadata(file.name, file.metadata);
  const architecture = metadata.string(ARCHITECTURE);
  const known = [...new Set(FAMILIES.flatMap(({ gguf }) => gguf ?? []))];
  const format = known.find((candidate) => candidate.architecture === architecture);
  if (format !== undefined) return { metadata, format };
  throw unsupported(
    metadata.origin(ARCHITECTURE),
    show(architecture),
    known.map((candidate) => `"${candidate.architecture}"`).join(' or '),
  );
}

export const ARCHITECTURE = 'general.architecture';

const SPLIT_REMEDY = 'Put all parts together, by the names that they were made with: x-00001-of-00003.gguf.';
