import { allocate } from '../errors.ts';

/** A file that is written from front to back. Either `close` or `abort` ends it. */
export interface ByteSink {
  /** The name, for messages. */
  readonly name: string;
  /**
   * Writes the next bytes. The caller may change them once the promise is settled.
   * @throws MambaError `io` where writing fails.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Completes the file. Only now it appears, or replaces another one. */
  close(): Promise<void>;
  /** Discards everything that was written. Never throws. */
  abort(): Promise<void>;
}

/** What a sink does with a file or folder that is there already. */
export interface SinkOptions {
  /** Whether an existing file or folder is replaced. */
  readonly replace?: boolean | undefined;
}

/** A folder of files that belong together. Either `close` or `abort` ends it. */
export interface FolderSink {
  /** The name, for messages. */
  readonly name: string;
  /**
   * Creates a file of the folder, by a plain name. Close or abort it before the folder.
   * @throws MambaError `io` where it cannot be created.
   */
  createFile(name: string): Promise<ByteSink>;
  /** Completes the folder. Only now it appears, with all of its files. */
  close(): Promise<void>;
  /** Discards everything that was written. Never throws. */
  abort(): Promise<void>;
}

/** A file in memory. */
export function memorySink(name = 'memory'): ByteSink & {
  /** All that was written. */
  bytes(): Uint8Array;
} {
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

/** Joins pieces into one. A single piece is returned without a copy. */
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
