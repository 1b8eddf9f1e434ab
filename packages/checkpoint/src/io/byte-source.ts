import type { MambaError } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';
import { damaged } from '../errors.ts';

/** Bytes that can be read in any order and need not be in memory as a whole. */
export interface ByteSource {
  /** A path or an address, for messages. */
  readonly name: string;
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset`. The result may be a view of a source in memory; do not write to it.
   * @throws MambaError `invalid-argument` outside `[0, size]`, `invalid-file` where there are fewer bytes than `size`,
   * `unavailable` where reading fails.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Gives up what the source holds, such as a handle of a file. */
  close(): Promise<void>;
}

/** A source of bytes in memory, which are not copied. */
export function bytesSource(bytes: Uint8Array | ArrayBuffer, name = 'bytes'): ByteSource {
  const view =
    bytes instanceof Uint8Array
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
  return {
    name,
    size: view.length,
    async read(offset, length) {
      checkRange(name, offset, length, view.length);
      return view.subarray(offset, offset + length);
    },
    async close() {},
  };
}

/** A source of a browser's File or another Blob, which is read piece by piece. */
export function blobSource(blob: Blob, name = 'name' in blob ? String(blob.name) : 'blob'): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(name, offset, length, blob.size);
      const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      if (bytes.length !== length) throw shortReadError(name, bytes.length, length);
      return bytes;
    },
    async close() {},
  };
}

export function checkRange(name: string, offset: number, length: number, size: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size)
    throw invalid(`${name}.read`, `${length} bytes from ${offset}`, `a range within ${size} bytes`);
}

export function shortReadError(name: string, given: number, expected: number, cause?: unknown): MambaError {
  const wanted = `${expected}: it became shorter while it was read`;
  return damaged(name, `${given} bytes`, wanted, 'Fetch it again.', cause);
}
