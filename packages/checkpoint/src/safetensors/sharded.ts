import type { HostTensor } from '@mamba/core';
import { damaged, list, quote, show } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { findFile } from '../io/find.ts';
import { type CheckpointStore, checkFileName, readJson } from '../io/store.ts';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from './file.ts';

/**
 * Opens the shards that an index file (`model.safetensors.index.json`) names, as one file. All headers are read and
 * compared with the index; data is read on demand. Undefined where the store has no such index.
 * @throws MambaError `invalid-file` where they do not agree. No shard stays open then.
 */
export async function openSharded(store: CheckpointStore, index: string): Promise<SafetensorsFile | undefined> {
  const json = await readJson(store, index);
  return json === undefined ? undefined : openShards(store, index, json, openSafetensors);
}

/** Opens the shards of an index that is read already, in any format. */
export async function openShards(
  store: CheckpointStore,
  index: string,
  json: unknown,
  open: (source: ByteSource) => Promise<SafetensorsFile>,
): Promise<SafetensorsFile> {
  const origin = `${store.name}: ${index}`;
  const { shardOf, metadata } = parseIndex(origin, json);
  const shards = new Map<string, SafetensorsFile>();
  const close = async (): Promise<void> => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    for (const name of new Set(shardOf.values())) {
      const { source, reason } = await findFile(store, name);
      if (source === undefined) {
        const given = `the shard ${quote(name)}, which is missing`;
        throw reason ?? damaged(origin, given, 'all its shards', 'Fetch the missing one.');
      }
      shards.set(name, await open(source));
    }
    const tensors = new Map<string, TensorInfo>();
    for (const [tensor, shard] of shardOf) {
      const info = shards.get(shard)!.tensors.get(tensor);
      if (info === undefined)
        throw damaged(
          origin,
          `the tensor ${quote(tensor)} placed in ${quote(shard)}, which lacks it`,
          'the right shard',
        );
      tensors.set(tensor, info);
    }
    for (const [name, shard] of shards) {
      const unplaced = [...shard.tensors.keys()].filter((tensor) => shardOf.get(tensor) !== name);
      if (unplaced.length > 0)
        throw damaged(
          `${store.name}: ${name}`,
          `tensors that ${index} does not place there: ${list(unplaced)}`,
          'none',
        );
    }
    const shard = (tensor: string): SafetensorsFile =>
      shards.get(shardOf.get(tensor) ?? '') ?? shards.values().next().value!;
    return {
      name: origin,
      tensors,
      metadata,
      // A shard reports a tensor that does not exist.
      read: async (tensor): Promise<HostTensor> => shard(tensor).read(tensor),
      rows: (tensor) => shard(tensor).rows(tensor),
      readBytes: async (tensor, start, end) => shard(tensor).readBytes(tensor, start, end),
      isAlias: (a, b) => shard(a) === shard(b) && (shard(a).isAlias?.(a, b) ?? false),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function parseIndex(
  origin: string,
  json: unknown,
): { shardOf: ReadonlyMap<string, string>; metadata: ReadonlyMap<string, string> } {
  const { weight_map: map, metadata } = (typeof json === 'object' && json !== null ? json : {}) as Record<
    string,
    unknown
  >;
  if (typeof map !== 'object' || map === null || Array.isArray(map) || Object.keys(map).length === 0)
    throw damaged(`${origin}: weight_map`, show(map), 'an object from tensor to shard');
  const shardOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    checkFileName(`${origin}: weight_map.${quote(tensor)}`, file);
    shardOf.set(tensor, file);
  }
  const facts = typeof metadata === 'object' && metadata !== null ? Object.entries(metadata) : [];
  return {
    shardOf,
    metadata: new Map(facts.map(([key, value]) => [key, typeof value === 'string' ? value : show(value)])),
  };
}
