import { type Checkpoint, type CheckpointLocation, type OpenOptions, openCheckpoint } from '@mamba/checkpoint';
import { hub } from '../hub/hub.ts';
import { progress, warn } from './terminal.ts';

/** The location of a command's argument, with progress bars for downloads from the hub. */
function locate(location: string, signal: AbortSignal): CheckpointLocation {
  if (!location.startsWith('hf:')) return location;
  let shown: { readonly file: string; readonly bar: ReturnType<typeof progress> } | undefined;
  return hub(location, {
    signal,
    onProgress({ file, bytes, totalBytes }) {
      if (shown?.file !== file) {
        shown?.bar.stop();
        shown = { file, bar: progress(file) };
      }
      shown.bar.update(bytes, totalBytes);
      if (bytes === totalBytes) shown.bar.stop();
    },
  });
}

/**
 * Opens a checkpoint, calls `use`, and closes it.
 * @param options `tokenizer`: the location of its files, if they are not beside the weights. `checkConfig`: called with
 * the config before the weights are opened.
 */
export async function withCheckpoint<T>(
  location: string,
  signal: AbortSignal,
  use: (checkpoint: Checkpoint) => Promise<T>,
  { tokenizer, checkConfig }: { readonly tokenizer?: string | undefined } & Pick<OpenOptions, 'checkConfig'> = {},
): Promise<T> {
  const checkpoint = await openCheckpoint(locate(location, signal), {
    ...{ signal, onWarning: warn, checkConfig },
    ...(tokenizer !== undefined && { tokenizer: locate(tokenizer, signal) }),
  });
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}
