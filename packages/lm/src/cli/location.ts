import { type Checkpoint, type CheckpointLocation, type OpenOptions, openCheckpoint } from '@mamba/checkpoint';
import { hub } from '../hub/hub.ts';
import { progress, warn } from './terminal.ts';

/** What a command was given as its checkpoint; of the hub's, downloads are shown. */
export function locate(location: string, signal: AbortSignal): CheckpointLocation {
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
 * Opens it for as long as `use` takes. `tokenizer`: where its files are, if not there; `checkConfig`: before its
 * weights are.
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
