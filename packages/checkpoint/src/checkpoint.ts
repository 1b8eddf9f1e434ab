import type { MambaError, ModelConfig, ParameterSource, ParameterSpec } from '@mamba/core';
import { adapterError, warnOfAdapter } from './adapter.ts';
import { readConfig } from './config/config.ts';
import { parseSpecialTokens, type SpecialTokens } from './config/special-tokens.ts';
import { withRows } from './config/vocabulary.ts';
import { damaged } from './errors.ts';
import type { StoredPart } from './families/family.ts';
import type { GgufFile } from './gguf/file.ts';
import { locateGguf } from './gguf/locate.ts';
import { ggufConfig, ggufFamily, ggufParameters, ggufSpecialTokens } from './gguf/model.ts';
import { openGgufParts } from './gguf/parts.ts';
import { hasGgufTokenizer } from './gguf/tokenizer.ts';
import { ggufTokenizerFiles } from './gguf/tokenizer-files.ts';
import type { ByteSource } from './io/byte-source.ts';
import { readOptionalObject } from './io/optional.ts';
import { type CheckpointLocation, type CheckpointStore, readJson } from './io/store.ts';
import type { UrlOptions } from './io/url.ts';
import { embeddingRows, folderParameters } from './parameters.ts';
import type { SafetensorsFile } from './safetensors/file.ts';
import type { TokenizerFiles } from './tokenizer/files.ts';
import { tokenizerStore } from './tokenizer/location.ts';
import { TokenizerReader } from './tokenizer/reader.ts';
import { withSurplusWarning } from './tokenizer/surplus.ts';
import { type WarningListener, warnOnConsole } from './warnings.ts';
import { openWeights, type Weights } from './weights.ts';

/** How `openCheckpoint` reaches the files, and what it is told of. */
export interface OpenOptions extends UrlOptions {
  /** Called for each optional file of the checkpoint that cannot be used and is left out. Default: console.warn. */
  readonly onWarning?: WarningListener | undefined;
  /**
   * The location of the tokenizer's files, if they are not beside the weights: of their folder, or of `tokenizer.json`.
   */
  readonly tokenizer?: CheckpointLocation | undefined;
  /**
   * Called with the config before any weights are opened or downloaded. `openCheckpoint` rejects with any error that it
   * throws.
   */
  readonly checkConfig?: ((config: ModelConfig) => void | Promise<void>) | undefined;
}

/** A checkpoint whose headers are read and checked. Its data is read on demand. */
export interface Checkpoint {
  /** The location, for messages. */
  readonly name: string;
  /** The format of the weights. */
  readonly format: Weights['format'] | 'GGUF';
  /** The name of the family of models: `mamba`, `falcon-mamba`, … */
  readonly family: string;
  /** The config of the model, of whatever family it is. */
  readonly config: ModelConfig;
  /** The source of parameters for core's `createModel`. */
  readonly source: ParameterSource;
  /** The type that a parameter is stored in, by the format's name: `F16`, `Q8_0`, … */
  storedType(parameter: Pick<ParameterSpec, 'key' | 'layer'>): string;
  /** The names of the tensors that hold a parameter, or a part of it each. */
  tensorsOf(parameter: Pick<ParameterSpec, 'key' | 'layer'>): readonly string[];
  /** How these tensors hold it, from its first row to its last: which rows or columns, and in which order. */
  partsOf(parameter: Pick<ParameterSpec, 'key' | 'layer'>): readonly StoredPart[];
  /** The tensors as the files hold them, by the names there. */
  readonly tensors: Pick<SafetensorsFile, 'name' | 'tensors' | 'read' | 'close'>;
  /** The file with its metadata, if the checkpoint is a GGUF file. */
  readonly gguf: GgufFile | undefined;
  /** The special tokens by all of the checkpoint's files. */
  readonly specialTokens: SpecialTokens;
  /** The content of `generation_config.json`; undefined if the checkpoint has none. */
  readonly generationConfig: unknown;
  /** The store of the checkpoint, to read its other files. */
  readonly store: CheckpointStore;
  /**
   * The files of the tokenizer, read at the first call.
   * @throws MambaError `invalid-file` or `unsupported` where there is a tokenizer that cannot be read.
   */
  tokenizerFiles(): Promise<TokenizerFiles>;
  /** Closes the files. `source` cannot be read afterwards. */
  close(): Promise<void>;
  /** Opens the checkpoint again from the same location, also after `close`. */
  reopen(options?: Pick<UrlOptions, 'signal'>): Promise<Checkpoint>;
}

/**
 * Opens a checkpoint: `config.json` with `model.safetensors`, `pytorch_model.bin`, or the shards of either's index,
 * from a folder (Node), an http(s) address, files that a user chose, or your own store; or a GGUF file, given by its
 * path or address, or as the only one of a folder. All other files are optional: those that cannot be used are left
 * out, with a warning.
 * @throws MambaError `invalid-file` (damaged, incomplete, contradictory), `unsupported` (another kind of model),
 * `unavailable` (disk, network), `aborted`. No file stays open then.
 */
export async function openCheckpoint(location: CheckpointLocation, options: OpenOptions = {}): Promise<Checkpoint> {
  const { onWarning = warnOnConsole, tokenizer: ownTokenizer, checkConfig = () => {} } = options;
  const { store, gguf } = await locateGguf(location, { ...options, checkConfig });
  // The warnings have been given already.
  const reopen: Checkpoint['reopen'] = (again) =>
    openCheckpoint(location, { ...options, signal: undefined, onWarning() {}, checkConfig: undefined, ...again });
  const tokenizerFolder = ownTokenizer === undefined ? store : tokenizerStore(ownTokenizer, options);
  const tokenizer = new TokenizerReader(tokenizerFolder, onWarning, ownTokenizer !== undefined);
  const context = { store, tokenizer, ownTokenizer: ownTokenizer !== undefined, reopen, onWarning, checkConfig };
  if (gguf !== undefined) return openGgufCheckpoint(gguf, context);
  return openFolder(context);
}

interface Context extends Pick<Checkpoint, 'store' | 'reopen'> {
  readonly tokenizer: TokenizerReader;
  /** Whether the caller gave a tokenizer, which replaces that of the checkpoint. */
  readonly ownTokenizer: boolean;
  readonly onWarning: WarningListener;
  readonly checkConfig: NonNullable<OpenOptions['checkConfig']>;
}

async function openFolder({ store, tokenizer, reopen, onWarning, checkConfig }: Context): Promise<Checkpoint> {
  const json = await readJson(store, 'config.json', 2 ** 24);
  if (json === undefined) throw (await adapterError(store)) ?? noConfig(store);
  const origin = `${store.name}: config.json`;
  const { family, config: said } = readConfig(json, origin);
  await checkConfig(said);
  const generationConfig = await readOptionalObject(store, 'generation_config.json', onWarning);
  const { format, tensors } = await openWeights(store);
  try {
    const config = withRows(said, json, embeddingRows(said, tensors, family.folder));
    const { source, tensorsOf, partsOf } = await folderParameters(config, tensors, family.folder);
    const files = [
      { origin, json },
      { origin: `${store.name}: generation_config.json`, json: generationConfig },
    ];
    const specialTokens = parseSpecialTokens(config.vocabSize, files, onWarning);
    await warnOfAdapter(store, onWarning);
    return {
      name: store.name,
      format,
      family: family.name,
      config,
      source,
      storedType: (parameter) => tensors.tensors.get(tensorsOf(parameter)[0]!)!.dtype,
      tensorsOf,
      partsOf,
      tensors,
      gguf: undefined,
      specialTokens: await tokenizer.addSpecialTokens(config.vocabSize, specialTokens),
      generationConfig,
      store,
      tokenizerFiles: withSurplusWarning(() => tokenizer.files(), config.vocabSize, onWarning),
      close: () => tensors.close(),
      reopen,
    };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

function noConfig({ name }: CheckpointStore): MambaError {
  const folder =
    'Give the folder that holds config.json and model.safetensors, or a GGUF file, whose name ends in .gguf';
  const remedy = /\.(safetensors|bin|pt|pth)$/.test(name)
    ? 'Give the folder that this file is in.'
    : /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name)
      ? `${folder}. For the model of this name on the Hugging Face hub, write hf:${name}.`
      : `${folder}.`;
  return damaged(name, 'no config.json', 'a checkpoint', remedy);
}

async function openGgufCheckpoint(
  parts: readonly ByteSource[],
  { store, tokenizer, ownTokenizer, reopen, onWarning, checkConfig }: Context,
): Promise<Checkpoint> {
  const file = await openGgufParts(parts);
  try {
    const config = ggufConfig(file);
    await checkConfig(config);
    const named = ggufSpecialTokens(file, config, onWarning);
    const { source, tensorsOf, partsOf } = ggufParameters(config, file);
    const hasTokenizer = !ownTokenizer && hasGgufTokenizer(file);
    const embedded = () => (hasTokenizer ? ggufTokenizerFiles(file, named, onWarning) : undefined);
    return {
      name: file.name,
      format: 'GGUF',
      family: ggufFamily(file, config),
      config,
      source,
      storedType: (parameter) => file.tensors.get(tensorsOf(parameter)[0]!)!.dtype,
      tensorsOf,
      partsOf,
      tensors: file,
      gguf: file,
      specialTokens: hasTokenizer ? named : await tokenizer.addSpecialTokens(config.vocabSize, named),
      generationConfig: undefined,
      store,
      tokenizerFiles: withSurplusWarning(async () => embedded() ?? tokenizer.files(), config.vocabSize, onWarning),
      close: () => file.close(),
      reopen,
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
