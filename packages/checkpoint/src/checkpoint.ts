import type { ModelConfig, ParameterSource, ParameterSpec } from '@mamba/core';
import { parseConfig, parseSpecialTokens, type SpecialTokens } from './config/config.ts';
import { damaged } from './errors.ts';
import { type GgufFile, openGguf } from './gguf/file.ts';
import { locateGguf } from './gguf/locate.ts';
import { ggufConfig, ggufParameterSource, ggufSpecialTokens } from './gguf/model.ts';
import { ggufTensorName } from './gguf/names.ts';
import type { ByteSource } from './io/byte-source.ts';
import { type CheckpointLocation, type CheckpointStore, readJson } from './io/store.ts';
import type { UrlOptions } from './io/url.ts';
import { parameterSource, tensorName } from './parameters.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors/file.ts';
import { openSharded } from './safetensors/sharded.ts';

/** A checkpoint whose headers are read and checked, and whose data is still where it was. */
export interface Checkpoint {
  /** Where it is, for messages. */
  readonly name: string;
  readonly config: ModelConfig;
  /** For core's `createModel`. */
  readonly source: ParameterSource;
  /** How a parameter is stored, by the format's name: `F16`, `Q8_0`, … */
  storedType(parameter: Pick<ParameterSpec, 'key' | 'layer'>): string;
  readonly tensors: Pick<SafetensorsFile, 'name' | 'tensors' | 'read' | 'close'>;
  /** The file, with its metadata, where the checkpoint is one of GGUF. */
  readonly gguf: GgufFile | undefined;
  readonly specialTokens: SpecialTokens;
  /** `generation_config.json`, unless the checkpoint has none. */
  readonly generationConfig: unknown;
  /** For the other files: tokenizer, golden values. */
  readonly store: CheckpointStore;
  /** Closes the files; `source` and `tensors` cannot be read afterwards. */
  close(): Promise<void>;
  /** Opens it once more, from the same place; also after `close`. */
  reopen(options?: Pick<UrlOptions, 'signal'>): Promise<Checkpoint>;
}

/**
 * Opens `config.json` with `model.safetensors`, or the shards of `model.safetensors.index.json`, from a folder (Node), an http(s)
 * address, chosen files, or a store of one's own; or a GGUF file, given by its path or address, or as the one in the folder or among
 * the files.
 * @throws MambaError `invalid-file` (damaged, incomplete, contradictory), `unsupported` (another kind of model), `unavailable` (disk,
 * network), `aborted`; nothing stays open then.
 */
export async function openCheckpoint(location: CheckpointLocation, options: UrlOptions = {}): Promise<Checkpoint> {
  const { store, gguf } = await locateGguf(location, options);
  const reopen: Checkpoint['reopen'] = (again) => openCheckpoint(location, { ...options, signal: undefined, ...again });
  if (gguf !== undefined) return openGgufCheckpoint(store, gguf, reopen);
  const json = await readJson(store, 'config.json', 2 ** 24);
  if (json === undefined)
    throw damaged(
      store.name,
      'no config.json',
      'a checkpoint',
      /\.safetensors$/.test(store.name)
        ? 'Give the folder that this file is in.'
        : 'Give the folder that holds config.json and model.safetensors, or a GGUF file, whose name ends in .gguf.',
    );
  const origin = `${store.name}: config.json`;
  const config = parseConfig(json, origin);
  const generationConfig = await readJson(store, 'generation_config.json', 2 ** 24);
  const specialTokens = parseSpecialTokens(
    config.vocabSize,
    { origin, json },
    { origin: `${store.name}: generation_config.json`, json: generationConfig ?? {} },
  );
  const tensors = await openTensors(store);
  try {
    const source = await parameterSource(config, tensors);
    const close = (): Promise<void> => tensors.close();
    return {
      name: store.name,
      config,
      source,
      storedType: (parameter) => tensors.tensors.get(tensorName(tensors, parameter))!.dtype,
      tensors,
      gguf: undefined,
      specialTokens,
      generationConfig,
      store,
      close,
      reopen,
    };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

async function openGgufCheckpoint(
  store: CheckpointStore,
  bytes: ByteSource,
  reopen: Checkpoint['reopen'],
): Promise<Checkpoint> {
  const file = await openGguf(bytes);
  try {
    const config = ggufConfig(file);
    return {
      name: file.name,
      config,
      source: ggufParameterSource(config, file),
      storedType: (parameter) => file.tensors.get(ggufTensorName(parameter))!.dtype,
      tensors: file,
      gguf: file,
      specialTokens: ggufSpecialTokens(file, config),
      generationConfig: undefined,
      store,
      close: () => file.close(),
      reopen,
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openTensors(store: CheckpointStore): Promise<SafetensorsFile> {
  const single = await store.open('model.safetensors');
  if (single !== undefined) return openSafetensors(single);
  const sharded = await openSharded(store, 'model.safetensors.index.json');
  if (sharded !== undefined) return sharded;
  throw damaged(
    store.name,
    'neither model.safetensors nor model.safetensors.index.json',
    'one of them',
    'Convert other formats to safetensors first.',
  );
}
