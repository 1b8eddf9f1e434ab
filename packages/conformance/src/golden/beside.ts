import { type CheckpointLocation, checkpointStore, openSafetensors, type SafetensorsFile } from '@mamba/checkpoint';
import { damaged } from './golden-file.ts';

/**
 * Opens a file of golden values beside a checkpoint.
 * @throws MambaError `invalid-file` where it is missing or damaged.
 */
export async function openBeside(location: CheckpointLocation, file: string): Promise<SafetensorsFile> {
  const store = checkpointStore(location);
  const source = await store.open(file);
  if (source === undefined) throw damaged(store.name, `no ${file}`, 'golden values beside the checkpoint');
  return openSafetensors(source);
}
