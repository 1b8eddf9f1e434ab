import { randomUUID } from 'node:crypto';
import { open as openHandle, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MambaError } from '@mamba/core';
import { allocate, damaged } from '../errors.ts';
import type { ByteSink } from './byte-sink.ts';
import { type ByteSource, checkRange, shortened } from './byte-source.ts';

/** Node refuses single reads of 2 GiB and more. */
const MAX_READ = 2 ** 30;

/**
 * A file on disk, kept open until `close()`.
 * @throws MambaError `invalid-file` where there is none, `unavailable` where it cannot be opened.
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
    const handle = await openHandle(name, 'r');
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw damaged(name, 'something that is not a file', 'a file');
      return fileSource(name, handle, stat.size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failure(name, error);
  }
}

/** Names of a folder's entries; empty where there is none. */
export async function listFiles(directory: string | URL): Promise<readonly string[]> {
  const name = directory instanceof URL ? fileURLToPath(directory) : directory;
  try {
    return await readdir(name);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw failure(name, error);
  }
}

/**
 * Writes a file beside its place and moves it there when it is whole and on the disk, so that readers see the old file or the new
 * one, never a part.
 * @throws MambaError `io` where it cannot be created.
 */
export async function createFile(path: string | URL): Promise<ByteSink> {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  const temporary = join(dirname(resolve(name)), `.${randomUUID()}.partial`);
  const attempt = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw failure(name, error, 'written');
    });
  const handle = await attempt(openHandle(temporary, 'wx'));
  return {
    name,
    async write(bytes) {
      let done = 0;
      while (done < bytes.length) done += (await attempt(handle.write(bytes, done))).bytesWritten;
    },
    async close() {
      await attempt(handle.sync());
      await attempt(handle.close());
      await attempt(rename(temporary, resolve(name)));
    },
    async abort() {
      await handle.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
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
            throw failure(name, error);
          });
        if (bytesRead === 0) throw shortened(name, done, length);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

function failure(name: string, cause: unknown, done = 'read'): Error {
  if (cause instanceof MambaError) return cause;
  return new MambaError('io', `${name} cannot be ${done}: ${cause instanceof Error ? cause.message : cause}`, {
    origin: name,
    cause,
  });
}
