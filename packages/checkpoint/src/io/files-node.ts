import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { mkdir, open as openHandle, readdir, realpath, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MambaError } from '@mamba/core';
import { allocate, damaged } from '../errors.ts';
import type { ByteSink, FolderSink } from './byte-sink.ts';
import { type ByteSource, checkRange, shortened } from './byte-source.ts';

export { isAbandoned, ownerStamp, removeAbandoned, temporaryPath } from './temporary.ts';

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
    // Before it is opened: that would wait for whoever writes to a pipe, or act on a device.
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
    throw failure(name, error);
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
 * one, never a part. A link stays one: what it points to is replaced.
 * @throws MambaError `io` where it cannot be created, or something else than a file is there.
 */
export async function createFile(path: string | URL): Promise<ByteSink> {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  return openSink(name, resolve(name));
}

/** @param name For messages. */
async function openSink(name: string, path: string): Promise<ByteSink> {
  const attempt = attempting(name);
  const target = await attempt(fileToReplace(path));
  const temporary = besides(target);
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
      await attempt(rename(temporary, target));
    },
    async abort() {
      await handle.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
}

/**
 * Writes files that belong together: into a folder beside the place, which is moved there as a whole. Where a folder with other files is
 * there already, these stay, and the new files are moved one by one when all of them are whole, the last one last.
 * @throws MambaError `io` where it cannot be created, or something else than a folder is there.
 */
export async function createFolder(path: string | URL): Promise<FolderSink> {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  const attempt = attempting(name);
  const target = resolve(name);
  const there = await attempt(ifPresent(stat(target)));
  if (there?.isDirectory() === false) throw failure(name, new Error('there is something that is no folder'), 'written');
  const temporary = besides(target);
  // The first folder that there was not.
  const made = await attempt(mkdir(temporary, { recursive: true }));
  const files: string[] = [];
  return {
    name,
    createFile(file) {
      files.push(file);
      return openSink(join(name, file), join(temporary, file));
    },
    async close() {
      const whole = await rename(temporary, target).then(
        () => true,
        () => false,
      );
      if (whole) return;
      for (const file of files) await attempt(rename(join(temporary, file), join(target, file)));
      await attempt(rmdir(temporary));
    },
    async abort() {
      await rm(temporary, { recursive: true, force: true }).catch(() => {});
      for (let folder = dirname(temporary); made !== undefined && folder.startsWith(made); folder = dirname(folder))
        await rmdir(folder).catch(() => {});
    },
  };
}

/** Of one file system with its place, so that it can be moved. */
function besides(target: string): string {
  return join(dirname(target), `.${randomUUID()}.partial`);
}

/** Where a file of this path is, links followed: nothing but a file is replaced. */
async function fileToReplace(path: string): Promise<string> {
  const there = await ifPresent(stat(path));
  if (there === undefined) return path;
  if (!there.isFile()) throw new Error('there is something that is no file');
  return realpath(path);
}

async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

function attempting(name: string): <T>(work: Promise<T>) => Promise<T> {
  return (work) =>
    work.catch((error: unknown) => {
      throw failure(name, error, 'written');
    });
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
