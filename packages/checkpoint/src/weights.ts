import type { MambaError } from '@mamba/core';
import { damaged } from './errors.ts';
import { findFile } from './io/find.ts';
import type { CheckpointStore } from './io/store.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors/file.ts';
import { openSharded } from './safetensors/sharded.ts';

/**
 * The tensors of a checkpoint, in whichever of its files they are.
 * @throws MambaError `invalid-file` where there are none; a host that does not have a file and says so otherwise than by 404 is quoted then.
 */
export async function openWeights(store: CheckpointStore): Promise<SafetensorsFile> {
  const reasons: MambaError[] = [];
  const { source, reason } = await findFile(store, 'model.safetensors');
  if (source !== undefined) return openSafetensors(source);
  if (reason !== undefined) reasons.push(reason);
  const sharded = await openSharded(store, 'model.safetensors.index.json');
  if (sharded !== undefined) return sharded;
  throw (
    reasons[0] ??
    damaged(
      store.name,
      'neither model.safetensors nor model.safetensors.index.json',
      'one of them',
      'Convert other formats to safetensors first.',
    )
  );
}
