import type { Writable } from 'node:stream';

type Stream = Writable & { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined };

/** The streams of a command: results go to stdout, progress and errors to stderr. */
export interface Terminal {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}
