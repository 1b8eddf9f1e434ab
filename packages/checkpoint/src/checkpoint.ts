import type { ModelConfig, ParameterSource } from '@mamba/core';
import { parseConfig, parseSpecialTokens, type SpecialTokens } from './config/config.ts';
import { damaged } from './errors.ts';
import { type CheckpointLocation, type CheckpointStore, checkpointStore, readJson } from './io/store.ts';
import type { UrlOptions } from './io/url.ts';
import { parameterSource } from './parameters.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors/file.ts';
import { openSharded } from './safetensors/sharded.ts';

/** A checkpoint whose headers are read and checked, and whose data is still where it was. */
export interface Checkpoint {
  /** Where it is, for messages. */
  readonly name: string;
  readonly config: ModelConfig;
  /** For core's `createModel`. */
  readonly source: ParameterSource;
  readonly tensors: SafetensorsFile;
  readonly specialTokens: SpecialTokens;
  /** `generation_config.json`, unless the checkpoint has none. */
  readonly generationConfig: unknown;
  /** For the other files: tokenizer, golden values. */
  readonly store: CheckpointStore;
  /** Closes the files; `source` and `tensors` cannot be read afterwards. */
  close(): Promise<void>;
}

/**
 * Opens `config.json` with `model.safetensors`, or the shards of `model.safetensors.index.json`, from a folder (Node), an http(s)
 * address, chosen files, or a store of one's own.
 * @throws MambaError `invalid-file` (damaged, incomplete, contradictory), `unsupported` (another kind of model), `unavailable` (disk,
 * network), `aborted`; nothing stays open then.
 */
export async function openCheckpoint(location: CheckpointLocation, options: UrlOptions = {}): Promise<Checkpoint> {
  const store = checkpointStore(location, options);
  const json = await readJson(store, 'config.json', 2 ** 24);
  if (json === undefined)
    throw damaged(
      store.name,
      'no config.json',
      'a checkpoint',
      'Give the folder that holds config.json and model.safetensors.',
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
    return { name: store.name, config, source, tensors, specialTokens, generationConfig, store, close };
  } catch (error) {
    await tensors.close();
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
