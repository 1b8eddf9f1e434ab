import type { Writable } from 'node:stream';

type Stream = Writable & { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined };

/** Where a command writes: results to stdout, progress and complaints to stderr. */
export interface Terminal {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}
