import type { MambaError } from '@mamba/core';
import { adapterError } from './adapter.ts';
import { damaged, list } from './errors.ts';
import type { ByteSource } from './io/byte-source.ts';
import { findFile } from './io/find.ts';
import { type CheckpointStore, readJsonSource } from './io/store.ts';
import { openPytorch } from './pytorch/file.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors/file.ts';
import { openShards } from './safetensors/sharded.ts';

type Open = (source: ByteSource) => Promise<SafetensorsFile>;

export interface Weights {
  readonly format: 'safetensors' | 'PyTorch';
  readonly tensors: SafetensorsFile;
}

/** The formats in order of preference. Files of safetensors are cheaper to read and cannot hold code. */
const FORMATS: readonly { readonly format: Weights['format']; readonly file: string; readonly open: Open }[] = [
  { format: 'safetensors', file: 'model.safetensors', open: openSafetensors },
  { format: 'PyTorch', file: 'pytorch_model.bin', open: openPytorch },
];

/**
 * Opens the weights of a checkpoint, in any of the formats.
 * @throws MambaError `invalid-file` where there are none, or the host's own error in place of it, and the errors of
 * opening them.
 */
export async function openWeights(store: CheckpointStore): Promise<Weights> {
  const reasons: MambaError[] = [];
  for (const { format, file, open } of FORMATS) {
    const single = await findFile(store, file);
    if (single.source !== undefined) return { format, tensors: await open(single.source) };
    const index = `${file}.index.json`;
    const sharded = await findFile(store, index);
    if (sharded.source !== undefined) {
      const json = await readJsonSource(sharded.source);
      return { format, tensors: await openShards(store, index, json, open) };
    }
    for (const { reason } of [single, sharded]) if (reason !== undefined) reasons.push(reason);
  }
  throw reasons[0] ?? (await adapterError(store)) ?? (await noWeights(store));
}

async function noWeights(store: CheckpointStore): Promise<MambaError> {
  const names = (await store.list?.()) ?? [];
  const others = names.filter((name) => OTHERS.test(name));
  return damaged(
    store.name,
    `no weights${others.length > 0 ? `, but ${list(others)}` : ''}`,
    'model.safetensors, pytorch_model.bin, or the index of their shards (model.safetensors.index.json, pytorch_model.bin.index.json)',
    others.length > 0 ? 'Give the weights one of these names, or convert them to safetensors first.' : undefined,
  );
}

/** The names of files with weights, in any format. */
const OTHERS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|npz)$/i;
