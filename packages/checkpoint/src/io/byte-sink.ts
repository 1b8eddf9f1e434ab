import { allocate } from '../errors.ts';

/** Where a file is written to, front to back. Either `close` or `abort` ends it. */
export interface ByteSink {
  /** For messages. */
  readonly name: string;
  /** The bytes may be overwritten once the promise is settled. @throws MambaError `io` where writing fails. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes it whole: only now a file appears, or replaces another. */
  close(): Promise<void>;
  /** Leaves nothing behind; never throws. */
  abort(): Promise<void>;
}

export interface SinkOptions {
  /** Whether what is there already is replaced. */
  readonly replace?: boolean | undefined;
}

/** Where several files are written to that belong together. Either `close` or `abort` ends it. */
export interface FolderSink {
  /** For messages. */
  readonly name: string;
  /** A file of it, by a plain name; ended before the folder is. @throws MambaError `io` where it cannot be created. */
  createFile(name: string): Promise<ByteSink>;
  /** Makes it whole: only now it appears, with all of its files. */
  close(): Promise<void>;
  /** Leaves nothing behind; never throws. */
  abort(): Promise<void>;
}

/** Collects what is written in memory. */
export function memorySink(name = 'memory'): ByteSink & { bytes(): Uint8Array } {
  let pieces: Uint8Array[] = [];
  return {
    name,
    async write(bytes) {
      pieces.push(new Uint8Array(bytes));
    },
    async close() {},
    async abort() {
      pieces = [];
    },
    bytes: () => joinBytes(name, pieces),
  };
}

/** Pieces in one; a single one as it is. */
export function joinBytes(name: string, pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const joined = allocate(
    name,
    pieces.reduce((sum, { length }) => sum + length, 0),
  );
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}
