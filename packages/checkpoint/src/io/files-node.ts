import type { Stats } from 'node:fs';
import { open as openHandle, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MambaError } from '@mamba/core';
import { allocate, damaged } from '../errors.ts';
import { type ByteSource, checkRange, shortReadError } from './byte-source.ts';

export { createFile, createFolder, recoverFolder } from './sinks-node.ts';
export { isAbandoned, ownerStamp, removeAbandoned, temporaryPath } from './temporary.ts';

/** Largest number of bytes of one read. Node refuses reads of 2 GiB and more. */
const MAX_READ = 2 ** 30;

/**
 * Opens a file on disk, which stays open until `close()`.
 * @throws MambaError `invalid-file` where there is no such file, `unavailable` where it cannot be opened.
 */
export async function openFile(path: string | URL): Promise<ByteSource> {
  const source = await openFileIfPresent(path);
  if (source === undefined)
    throw damaged(String(path), 'no such file', 'a file', 'Check the path, and that the download is complete.');
  return source;
}

export async function openFileIfPresent(path: string | URL): Promise<ByteSource | undefined> {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  try {
    // This check comes first, since opening a pipe waits for its writer, and opening a device may act on it.
    checkIsFile(name, await stat(name));
    const handle = await openHandle(name, 'r');
    try {
      const opened = await handle.stat();
      checkIsFile(name, opened);
      return fileSource(name, handle, opened.size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fileFailure(name, error);
  }
}

function checkIsFile(name: string, found: Stats): void {
  if (found.isFile()) return;
  const kind = found.isDirectory()
    ? 'a folder'
    : found.isFIFO()
      ? 'a pipe (FIFO)'
      : found.isSocket()
        ? 'a socket'
        : 'a device';
  throw damaged(name, kind, 'a file', 'Put the file itself, or a link to it, there.');
}

/** The names of a folder's entries; empty where there is no such folder. */
export async function listFiles(directory: string | URL): Promise<readonly string[]> {
  const name = directory instanceof URL ? fileURLToPath(directory) : directory;
  try {
    return await readdir(name);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fileFailure(name, error);
  }
}

export function joinPath(directory: string | URL, name: string): string {
  return join(directory instanceof URL ? fileURLToPath(directory) : directory, name);
}

function fileSource(name: string, handle: Awaited<ReturnType<typeof openHandle>>, size: number): ByteSource {
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, offset, length, size);
      const bytes = allocate(name, length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle
          .read(bytes, done, Math.min(length - done, MAX_READ), offset + done)
          .catch((error: unknown) => {
            throw fileFailure(name, error);
          });
        if (bytesRead === 0) throw shortReadError(name, done, length);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

export function fileFailure(name: string, cause: unknown, done = 'read'): Error {
  if (cause instanceof MambaError) return cause;
  return new MambaError('io', `${name} cannot be ${done}: ${cause instanceof Error ? cause.message : cause}`, {
    origin: name,
    cause,
  });
}
